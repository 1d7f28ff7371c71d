// What one pixel of the target does.
//
// A point of the source is hidden where the surface faces away from the viewer, outside of the
// picture, and behind another surface. The source's raster tells what is nearest at the centres of
// pixels alone, and a point lies beside a centre, where its own surface may be nearer: with the
// slopes gx and gy (depth per pixel) by up to (|gx| + |gy|) / 2. This is the tolerance, and so no
// surface hides itself. It is bounded, because surfaces that are nearly edge-on have any slope.
#pragma once

#include <cstdint>

#include "../raster/raster_math.h"
#include "flow.h"

namespace bodyreg {

// From the centre of a pixel to its place in the source, and what the source shows of it.
template <typename T>
struct PixelFlow {
  T x, y;
  uint8_t seen;
};

template <typename T>
BODYREG_HD bool is_number(T x) {
  return x - x == T(0);
}

template <typename T>
BODYREG_HD T size_of(T x) {
  return x < T(0) ? -x : x;
}

// a b - c d. Products are rounded, so that every device has the same bits.
template <typename T>
BODYREG_HD T cross(T a, T b, T c, T d) {
  return product(a, b) - product(c, d);
}

// a0 + w1 (a1 - a0) + w2 (a2 - a0)
template <typename T>
BODYREG_HD T mix(T a0, T a1, T a2, T w1, T w2) {
  return a0 + product(w1, a1 - a0) + product(w2, a2 - a0);
}

// A pixel that shows the barycentrics w1 and w2 of a triangle with the vertices a, b, c.
// column, row: of the pixel; depth: (h, w) of the source.
template <typename T>
BODYREG_HD PixelFlow<T> flow_of(const FlowParams<T>& p, const T* a, const T* b, const T* c, T w1,
                                T w2, int column, int row, const T* depth) {
  const T near[3] = {nearness(a[2], p.perspective), nearness(b[2], p.perspective),
                     nearness(c[2], p.perspective)};
  T steps = T(1);  // of nearness for one of depth
  if (p.perspective) {
    const T z = mix(a[2], b[2], c[2], w1, w2);
    const T here = nearness(z, true);
    if (near[0] == T(0) || near[1] == T(0) || near[2] == T(0) || here == T(0)) {
      return {T(0), T(0), is_number(z) ? kHidden : kBackground};  // it reaches the camera
    }
    w1 = product(w1, b[2]) / z;  // from space to the picture
    w2 = product(w2, c[2]) / z;
    steps = product(here, here);
  }
  const T x = mix(a[0], b[0], c[0], w1, w2), y = mix(a[1], b[1], c[1], w1, w2);
  const T here = mix(near[0], near[1], near[2], w1, w2);
  if (!is_number(x) || !is_number(y) || !is_number(here)) return {T(0), T(0), kBackground};
  PixelFlow<T> flow = {x - (T(column) + T(0.5)), y - (T(row) + T(0.5)), kHidden};

  const T ux = b[0] - a[0], uy = b[1] - a[1], un = near[1] - near[0];
  const T vx = c[0] - a[0], vy = c[1] - a[1], vn = near[2] - near[0];
  const T area = cross(ux, vy, uy, vx);
  const bool inside = x >= T(0) && x < T(p.source_width) && y >= T(0) && y < T(p.source_height);
  if (!inside || !(area < T(0))) return flow;
  const T rise = (size_of(cross(un, vy, vn, uy)) + size_of(cross(vn, ux, un, vx))) /
                 product(T(-2), product(area, steps));
  const T seen = nearness(depth[static_cast<int64_t>(y) * p.source_width + static_cast<int64_t>(x)],
                          p.perspective);
  if (!((seen - here) / steps > p.least + (rise < p.most ? rise : p.most))) flow.seen = kVisible;
  return flow;
}

// A pixel of a pair. One whose face or vertices do not exist is background.
template <typename T>
BODYREG_HD void write_flow(const FlowParams<T>& p, int64_t pair, int row, int column) {
  const int64_t pixel = (pair * p.height + row) * p.width + column;
  const int32_t face = p.face[pixel];
  PixelFlow<T> flow = {T(0), T(0), kBackground};
  if (face >= 0 && face < p.faces) {
    const T* corner[3];
    bool known = true;
    for (int i = 0; i < 3; ++i) {
      const int64_t vertex = p.triangles[3 * int64_t{face} + i];
      known = known && vertex >= 0 && vertex < p.vertices;
      corner[i] = p.positions + 3 * (pair * p.vertices + (known ? vertex : 0));
    }
    const T* share = p.barycentric + 3 * pixel;
    if (known) {
      flow = flow_of(p, corner[0], corner[1], corner[2], share[1], share[2], column, row,
                     p.depth + pair * p.source_height * p.source_width);
    }
  }
  p.flow[2 * pixel] = flow.x;
  p.flow[2 * pixel + 1] = flow.y;
  p.visibility[pixel] = flow.seen;
}

}  // namespace bodyreg

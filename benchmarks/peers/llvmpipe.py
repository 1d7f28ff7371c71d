"""Mesa's software rasteriser behind OpenGL: the visible face at each pixel."""

from __future__ import annotations

import numpy as np
import pytest

VERTEX = """#version 330
in vec3 position;
uniform vec2 size;
void main() { gl_Position = vec4(position.xy / size * 2.0 - 1.0, -position.z / size.x, 1.0); }
"""
FRAGMENT = """#version 330
out int face;
void main() { face = gl_PrimitiveID; }
"""


class FaceIds:
    """Draws meshes with the same faces, one picture at a time, and reads the faces back.

    Depths lie within a picture's side.
    """

    def __init__(self, vertices: int, faces: np.ndarray, side: int):
        """Sets up the state that all pictures share; skips the test without such an OpenGL.

        Args:
            vertices: V.
            faces: (F, 3) int32.
            side: Side of the pictures, pixels.
        """
        moderngl = pytest.importorskip("moderngl")
        try:
            self.context = moderngl.create_context(standalone=True, backend="egl")
        except Exception as error:
            pytest.skip(f"no OpenGL context through EGL: {error}")
        self.renderer = self.context.info["GL_RENDERER"]
        if "llvmpipe" not in self.renderer:
            pytest.skip(f"OpenGL here is {self.renderer}, not llvmpipe")
        program = self.context.program(vertex_shader=VERTEX, fragment_shader=FRAGMENT)
        program["size"].value = (side, side)
        self.vertices = self.context.buffer(reserve=12 * vertices)
        self.mesh = self.context.vertex_array(
            program,
            [(self.vertices, "3f", "position")],
            index_buffer=self.context.buffer(np.ascontiguousarray(faces, np.int32)),
            index_element_size=4,
        )
        self.target = self.context.framebuffer(
            [self.context.texture((side, side), 1, dtype="i4")],
            self.context.depth_renderbuffer((side, side)),
        )
        self.side = side

    def draw(self, positions: np.ndarray) -> np.ndarray:
        """(B, V, 3) float32 pixels and depth -> (B, H, W) int32 faces; the background is 0 too."""
        context = self.context
        context.enable(context.DEPTH_TEST)
        out = np.empty((len(positions), self.side, self.side), np.int32)
        for picture, target in zip(positions, out, strict=True):
            self.vertices.write(picture)
            self.target.use()
            self.target.clear(depth=1.0)
            self.mesh.render()
            self.target.read_into(target, components=1, dtype="i4")
        return out

    def close(self) -> None:
        """Release the context."""
        self.context.release()

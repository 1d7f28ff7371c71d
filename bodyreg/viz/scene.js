"use strict";

// A person in space: frame units, x right, y up, z toward the viewer, the pelvis at depth 0.
// Plotly's third axis points up, so its axes are x, -z and y.

function unpack(text, Type) {
  return new Type(Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer);
}

function cssColour(name) {
  return getComputedStyle(document.documentElement)
    .getPropertyValue("--" + name)
    .trim();
}

class Scene {
  static VIEWS = {
    front: { x: 0, y: -2, z: 0 },
    left: { x: -2, y: 0, z: 0 },
    back: { x: 0, y: 2, z: 0 },
    top: { x: 0, y: -0.01, z: 2 },
  };
  static GRID = 144; // of the picture, in pixels
  static WORST = 100; // millimetres, at the end of the colours
  static SCALE = [
    [46, 125, 190],
    [120, 190, 150],
    [245, 214, 110],
    [226, 120, 60],
    [190, 40, 50],
  ];

  constructor(node, body) {
    this.node = node;
    this.template = body;
    this.weights = unpack(body.weights, Float32Array);
    this.weightJoints = unpack(body.weightJoints, Uint8Array);
    this.segment = unpack(body.segment, Uint8Array);
    this.parents = body.parents;
    this.jointNames = body.jointNames;
    this.count = this.segment.length;
    this.slots = this.weights.length / this.count;
    const faces = unpack(body.faces, Uint32Array);
    this.corners = [0, 1, 2].map((c) => Uint32Array.from({ length: faces.length / 3 }, (_, f) => faces[3 * f + c]));
    this.choices = {
      surface: "solid",
      colour: "plain",
      truth: false,
      skeleton: false,
      evidence: false,
      picture: false,
    };
    this.view = "front";
  }

  // Show a person, and choose what is shown.
  show(person, mark) {
    this.person = person;
    const own = person.own ?? this.template;
    this.rest = unpack(own.vertices, Float32Array);
    this.joints = unpack(own.joints, Float32Array);
    this.keypointJoints = unpack(own.keypointJoints, Uint8Array);
    this.keypointAnchors = unpack(own.keypointAnchors, Float32Array);
    this.transforms = unpack(person.poses, Float32Array);
    this.truth = person.truth ? this.truthPlaces(person.truth) : null;
    this.points = {
      vertex: unpack(person.points.vertex, Uint32Array),
      mix: unpack(person.points.mix, Float32Array),
      xy: unpack(person.points.xy, Float32Array),
    };
    this.billboard = null;
    this.mark = mark;
    this.pose();
    this.reach = Math.max(
      1,
      ...[...this.places, ...(this.truth ?? [])].map((axis) => axis.reduce((m, v) => Math.max(m, Math.abs(v)), 0)),
    );
    this.draw(this.view);
  }

  truthPlaces(truth) {
    const steps = unpack(truth.vertices, Int16Array);
    return [0, 1, 2].map((axis) =>
      Float32Array.from({ length: this.count }, (_, v) => steps[3 * v + axis] * truth.step),
    );
  }

  // A rig point is the sum of T[joint] times its anchor, as in bodyreg.ops.lbs.
  move(joint, x, y, z, w, out) {
    const t = this.transforms,
      at = 288 * this.mark + 12 * joint;
    for (let axis = 0; axis < 3; axis++) {
      const row = at + 4 * axis;
      out[axis] += t[row] * x + t[row + 1] * y + t[row + 2] * z + t[row + 3] * w;
    }
  }

  pose() {
    const places = [0, 1, 2].map(() => new Float32Array(this.count)),
      sum = [0, 0, 0];
    for (let v = 0; v < this.count; v++) {
      sum.fill(0);
      const x = this.rest[3 * v],
        y = this.rest[3 * v + 1],
        z = this.rest[3 * v + 2];
      for (let k = this.slots * v; k < this.slots * (v + 1); k++) {
        const w = this.weights[k];
        if (w) this.move(this.weightJoints[k], w * x, w * y, w * z, w, sum);
      }
      for (let axis = 0; axis < 3; axis++) places[axis][v] = sum[axis];
    }
    this.places = places;
  }

  jointPlaces() {
    return this.parents.map((_, j) => {
      const sum = [0, 0, 0];
      this.move(j, this.joints[3 * j], this.joints[3 * j + 1], this.joints[3 * j + 2], 1, sum);
      return sum;
    });
  }

  keypointPlaces() {
    const count = this.person.keypoints.length,
      slots = this.keypointJoints.length / count;
    return this.person.keypoints.map((_, k) => {
      const sum = [0, 0, 0];
      for (let s = slots * k; s < slots * (k + 1); s++)
        this.move(this.keypointJoints[s], ...this.keypointAnchors.subarray(4 * s, 4 * s + 4), sum);
      return sum;
    });
  }

  // Millimetres from each vertex of the fit to the same vertex of the truth.
  distances() {
    const [x, y, z] = this.places,
      [a, b, c] = this.truth,
      unit = 1000 / this.person.truth.metre;
    return Float32Array.from(x, (_, v) => unit * Math.hypot(x[v] - a[v], y[v] - b[v], z[v] - c[v]));
  }

  // From 0 to 1, of each vertex: how uncertain the joints are that hold it.
  doubts() {
    const { segments } = this.person.doubt;
    return Float32Array.from({ length: this.count }, (_, v) => {
      let sum = 0;
      for (let k = this.slots * v; k < this.slots * (v + 1); k++)
        sum += this.weights[k] * segments[this.weightJoints[k]];
      return sum;
    });
  }

  static mixed(share, scale) {
    const at = Math.min(Math.max(share, 0), 1) * (scale.length - 1),
      low = Math.min(Math.floor(at), scale.length - 2);
    return "rgb(" + scale[low].map((c, i) => Math.round(c + (at - low) * (scale[low + 1][i] - c))) + ")";
  }

  colours() {
    if (this.choices.colour === "distance" && this.truth)
      return Array.from(this.distances(), (d) => Scene.mixed(d / Scene.WORST, Scene.SCALE));
    if (this.choices.colour === "doubt" && this.person.doubt)
      return Array.from(this.doubts(), (share) => Scene.mixed(share, data.doubt.colours));
    if (this.choices.colour === "segments")
      return Array.from(this.segment, (s) => `hsl(${(s * 137.5) % 360} 52% 62%)`).map(Scene.rgb);
    return undefined;
  }

  static rgb(colour) {
    const known = (Scene.known ??= new Map());
    if (!known.has(colour)) {
      const pen = document.createElement("canvas").getContext("2d");
      pen.fillStyle = colour;
      known.set(colour, pen.fillStyle);
    }
    return known.get(colour);
  }

  mesh(places, more) {
    return {
      type: "mesh3d",
      hoverinfo: "skip",
      x: places[0],
      y: places[2].map((z) => -z),
      z: places[1],
      i: this.corners[0],
      j: this.corners[1],
      k: this.corners[2],
      lighting: { ambient: 0.4, diffuse: 0.66, specular: 0.1, roughness: 0.6, fresnel: 0.05 },
      lightposition: { x: -40000, y: 60000, z: -80000 }, // from the viewer: left, above, in front
      ...more,
    };
  }

  lines(places, colour, more) {
    return {
      type: "scatter3d",
      hoverinfo: "skip",
      showlegend: false,
      x: places.map((p) => p && p[0]),
      y: places.map((p) => p && -p[2]),
      z: places.map((p) => p && p[1]),
      line: { color: colour, width: 5 },
      marker: { color: colour, size: 3 },
      mode: "lines",
      ...more,
    };
  }

  traces() {
    const { surface, truth, skeleton, evidence, picture } = this.choices,
      traces = [];
    const colours = this.colours(),
      painted = colours ? { vertexcolor: colours } : {};
    if (surface !== "hidden")
      traces.push(
        this.mesh(this.places, { color: cssColour("body"), ...painted, opacity: surface === "glass" ? 0.35 : 1 }),
      );
    if (truth && this.truth)
      traces.push(this.mesh(this.truth, { color: cssColour("truth"), opacity: surface === "hidden" ? 1 : 0.35 }));
    if (skeleton) {
      const at = this.jointPlaces(),
        bones = this.parents.flatMap((p, j) => (p < 0 ? [] : [at[p], at[j], null]));
      traces.push(this.lines(bones, cssColour("ink")));
      traces.push(this.lines(at, cssColour("ink"), { mode: "markers", text: this.jointNames, hoverinfo: "text" }));
    }
    if (evidence) traces.push(...this.evidence());
    if (picture) {
      this.paint();
      if (this.billboard) traces.push(this.billboard);
    }
    return traces;
  }

  // Where a camera that sees a point at xy has it at depth z. The camera counts depths from the
  // model's origin, as the fit does.
  onRay([x, y], z) {
    const [near, ...centre] = this.person.perspective,
      away = Math.max(1 - near * (z + this.person.pelvis[this.mark]), 0.1);
    return [...[x, y].map((at, axis) => centre[axis] + (at - centre[axis]) * away), z];
  }

  // Lines from a matched point of the fit to its observed place, at the same depth.
  evidence() {
    const { vertex, mix, xy } = this.points,
      found = [],
      links = [];
    for (let p = 0; p < xy.length / 2; p++) {
      const at = [0, 1, 2].map((axis) =>
        [0, 1, 2].reduce((sum, c) => sum + mix[3 * p + c] * this.places[axis][vertex[3 * p + c]], 0),
      );
      found.push(this.onRay(xy.subarray(2 * p, 2 * p + 2), at[2]));
      links.push(at, found[p], null);
    }
    const keys = this.keypointPlaces()
      .map((at, k) => [at, this.person.keypoints[k]])
      .filter(([, seen]) => seen);
    const seen = keys.map(([at, xy]) => this.onRay(xy, at[2]));
    keys.forEach(([at], k) => links.push(at, seen[k], null));
    return [
      this.lines(links, cssColour("bad"), { line: { color: cssColour("bad"), width: 3 } }),
      this.lines(found, cssColour("ink"), { mode: "markers", marker: { color: cssColour("ink"), size: 2.4 } }),
      this.lines(seen, cssColour("bad"), { mode: "markers", marker: { color: cssColour("bad"), size: 4.5 } }),
    ];
  }

  // The picture is a mesh of coloured squares behind the body; it is added when its pixels are loaded.
  paint() {
    if (this.billboard) return;
    const person = this.person,
      image = new Image(),
      grid = Scene.GRID;
    image.onload = () => {
      if (person !== this.person) return;
      const canvas = document.createElement("canvas");
      canvas.width = canvas.height = grid;
      const pen = canvas.getContext("2d", { willReadFrequently: true });
      pen.drawImage(image, 0, 0, grid, grid);
      const pixels = pen.getImageData(0, 0, grid, grid).data;
      // A vertex in the middle of every pixel.
      const at = (n) => (2 * n + 1) / grid - 1,
        squares = Array.from({ length: (grid - 1) ** 2 }, (_, n) => n + Math.floor(n / (grid - 1)));
      const x = [],
        up = [],
        vertexcolor = [];
      for (let n = 0; n < grid ** 2; n++) {
        (x.push(at(n % grid)),
          up.push(-at(Math.floor(n / grid))),
          vertexcolor.push(`rgb(${pixels.slice(4 * n, 4 * n + 3).join()})`));
      }
      const i = squares.flatMap((n) => [n, n]),
        j = squares.flatMap((n) => [n + grid, n + grid + 1]),
        k = squares.flatMap((n) => [n + grid + 1, n + 1]);
      this.billboard = {
        type: "mesh3d",
        hoverinfo: "skip",
        x,
        y: x.map(() => 0.99 * this.reach),
        z: up,
        i,
        j,
        k,
        vertexcolor,
        lighting: { ambient: 1, diffuse: 0, specular: 0, fresnel: 0 },
      };
      this.draw();
    };
    image.src = person.tiles.picture ?? person.tiles.evidence;
  }

  draw(view) {
    const r = this.reach,
      axis = { visible: false, range: [-r, r], autorange: false };
    const scene = {
      xaxis: axis,
      yaxis: axis,
      zaxis: axis,
      aspectmode: "manual",
      aspectratio: { x: 1.72, y: 1.72, z: 1.72 },
      dragmode: "turntable",
      uirevision: view ? {} : "kept",
    };
    scene.camera = {
      up: { x: 0, y: 0, z: 1 },
      eye: Scene.VIEWS[this.view],
      center: { x: 0, y: 0, z: 0 },
      projection: { type: "orthographic" },
    };
    if (!view) scene.camera = this.node.layout?.scene?.camera ?? scene.camera;
    const layout = { margin: { l: 0, r: 0, t: 0, b: 0 }, paper_bgcolor: "rgba(0,0,0,0)", scene, showlegend: false };
    return Plotly.react(this.node, this.traces(), layout, { displayModeBar: false, responsive: true });
  }

  turn(view) {
    this.view = view;
    return Plotly.relayout(this.node, {
      "scene.camera.eye": Scene.VIEWS[view],
      "scene.camera.up": { x: 0, y: 0, z: 1 },
      "scene.camera.center": { x: 0, y: 0, z: 0 },
    });
  }

  choose(name, value) {
    this.choices[name] = value;
    return this.draw();
  }

  goTo(mark) {
    this.mark = mark;
    this.pose();
    return this.draw();
  }

  close() {
    Plotly.purge(this.node);
    this.person = null;
  }
}

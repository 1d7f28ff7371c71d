"""Random fits, and GLB files posed by an independent reader."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pygltflib
from scipy.spatial.transform import Rotation

from bodyreg.body import Body
from bodyreg.data import Fits

TYPES = {5121: np.uint8, 5125: np.uint32, 5126: np.float32}
SIZES = {"SCALAR": (), "VEC3": (3,), "VEC4": (4,), "MAT4": (4, 4)}


def random_fits(random: np.random.Generator, count: int) -> Fits:
    """One person of any proportions in poses of any angles, seen without perspective."""
    pose = random.normal(0, 1, (count, 24, 3))
    pose *= random.uniform(0, np.pi, (count, 24, 1)) / np.linalg.norm(pose, axis=2, keepdims=True)
    return Fits(
        id=random.choice(1000, count, replace=False),
        frame=np.float32(random.uniform(50, 300, (count, 3))),
        pose=np.float32(pose),
        segment_scale=np.float32(random.uniform(0.5, 2, 24) * np.ones((count, 1))),
        rotation=np.float32(Rotation.random(count, random_state=random).as_matrix()),
        scale=np.float32(random.uniform(0.3, 1.5, count)),
        translation=np.float32(random.normal(0, 0.3, (count, 2))),
    )


def with_camera(fits: Fits, random: np.random.Generator) -> Fits:
    focal = random.uniform(300, 2000, len(fits))
    point = random.uniform(0, 400, (len(fits), 2))
    return replace(fits, focal=np.float32(focal), principal_point=np.float32(point))


def from_pelvis(body: Body, fits: Fits) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (T, V, 3) and joints (T, 24, 3) of fits in metres, the pelvis at 0."""
    metre = abs(fits.scale.astype(np.float64))[:, None, None]
    joints = fits.joints(body) / metre
    return fits.vertices(body) / metre - joints[:, :1], joints - joints[:, :1]


class Glb:
    """A GLB file, read by pygltflib; how its mesh moves is written out here."""

    def __init__(self, data: bytes) -> None:
        self.gltf = pygltflib.GLTF2().load_from_bytes(data)
        self._blob = self.gltf.binary_blob()

    def array(self, number: int) -> np.ndarray:
        accessor = self.gltf.accessors[number]
        view = self.gltf.bufferViews[accessor.bufferView]
        shape, kind = SIZES[accessor.type], TYPES[accessor.componentType]
        start = view.byteOffset or 0
        size = accessor.count * int(np.prod(shape)) * np.dtype(kind).itemsize
        assert view.byteLength == size
        return np.frombuffer(self._blob[start : start + size], kind).reshape(-1, *shape)

    def channels(self) -> dict[tuple[int, str], np.ndarray]:
        """(Node, what of it moves) -> its values at the keys."""
        if not self.gltf.animations:
            return {}
        (animation,) = self.gltf.animations
        return {
            (c.target.node, c.target.path): self.array(animation.samplers[c.sampler].output)
            for c in animation.channels
        }

    def nodes(self, key: int | None = None) -> np.ndarray:
        """(N, 4, 4) the nodes in the world, at a key of the animation or as they stand."""
        moved = {} if key is None else self.channels()
        world = np.zeros((len(self.gltf.nodes), 4, 4))

        def visit(number: int, above: np.ndarray) -> None:
            node, local = self.gltf.nodes[number], np.eye(4)

            def of(path: str, default: list[float]) -> np.ndarray:
                if (number, path) in moved:
                    return moved[number, path][key].astype(np.float64)
                return np.array(getattr(node, path) or default)

            turn = Rotation.from_quat(of("rotation", [0, 0, 0, 1])).as_matrix()
            local[:3, :3] = turn * of("scale", [1, 1, 1])
            local[:3, 3] = of("translation", [0, 0, 0])
            world[number] = above @ local
            for child in node.children or []:
                visit(child, world[number])

        for root in self.gltf.scenes[self.gltf.scene].nodes:
            visit(root, np.eye(4))
        return world

    def joints(self, key: int | None = None) -> np.ndarray:
        """(24, 3) the bones' heads."""
        return self.nodes(key)[self.gltf.skins[0].joints, :3, 3]

    def vertices(self, key: int | None = None) -> np.ndarray:
        """(V, 3) the skinned mesh, as glTF 2.0 defines it."""
        skin, attributes = self.gltf.skins[0], self.gltf.meshes[0].primitives[0].attributes
        bind = self.array(skin.inverseBindMatrices).swapaxes(1, 2).astype(np.float64)
        matrices = self.nodes(key)[skin.joints] @ bind
        rest = np.pad(self.array(attributes.POSITION).astype(np.float64), ((0, 0), (0, 1)),
                      constant_values=1)  # fmt: skip
        moved = np.zeros((len(rest), 3))
        for number in range(9):
            if getattr(attributes, f"JOINTS_{number}", None) is None:
                break
            joints = self.array(getattr(attributes, f"JOINTS_{number}"))
            weights = self.array(getattr(attributes, f"WEIGHTS_{number}"))
            for j, w in zip(joints.T, weights.T, strict=True):
                moved += w[:, None] * np.einsum("vij,vj->vi", matrices[j], rest)[:, :3]
        return moved

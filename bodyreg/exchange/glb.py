"""GLB files with a mesh, its skeleton and its skin, and an animation for more than one pose.

The format is glTF 2.0 (Khronos, "glTF 2.0 Specification"), in its binary container. A node's scale
enlarges all nodes below it, while a segment's scale does not enlarge other segments. Uniform scales
commute with rotations, so a node of scale s_k / s_parent, at the template's distance from its
parent, has the transform of `ops.kinematics` exactly. The mesh is the template's, and no vertex
moves otherwise than in the fit.
"""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
from scipy.spatial.transform import Rotation

from bodyreg.exchange.motion import Motion
from bodyreg.version import installed_version

FLOAT, BYTE, WORD = 5126, 5121, 5125
"""glTF's numbers of types."""
VERTICES, TRIANGLES = 34962, 34963
"""glTF's numbers of what a buffer is for."""
SHAPES = {(): "SCALAR", (3,): "VEC3", (4,): "VEC4", (4, 4): "MAT4"}
TYPES = {np.dtype(np.float32): FLOAT, np.dtype(np.uint8): BYTE, np.dtype(np.uint32): WORD}
INFLUENCES = 4
"""Of a vertex in one set of glTF's."""
MATERIAL = {
    "pbrMetallicRoughness": {
        "baseColorFactor": [0.39, 0.60, 0.83, 1.0],
        "metallicFactor": 0.0,
        "roughnessFactor": 0.8,
    }
}
"""Without a material, a mesh is of glTF's: polished metal, which is dark in an empty room."""


def to_glb(motion: Motion, rate: float = 30.0) -> bytes:
    """The bytes of a GLB file: metres, y up, each bone named as its joint.

    The skeleton stands in the first pose; with several poses there is an animation. Bind pose is
    the template's T-pose. The bones have the person's segment scales, and the scale of a bone's
    children takes that of the bone back. Vertices with more than four influences have several sets.

    Args:
        motion: The poses.
        rate: Poses a second.
    """
    body, buffer = motion.body, _Buffer()
    scale = motion.scale.copy()
    scale[1:] /= motion.scale[list(body.parents[1:])]
    sign = -1.0 if motion.mirrored else 1.0
    scale[0] *= sign
    turns = motion.rotations.copy()
    turns[:, 0] *= sign
    quaternions = np.stack(
        [_continuous(Rotation.from_matrix(joint).as_quat()) for joint in turns.swapaxes(0, 1)]
    )
    offset = body.joints.astype(np.float64)
    offset[1:] -= offset[list(body.parents[1:])]
    nodes: list[dict[str, Any]] = [
        {
            "name": name,
            "translation": (motion.place[0] if joint == 0 else offset[joint]).tolist(),
            "rotation": quaternions[joint, 0].tolist(),
            "scale": [scale[joint]] * 3,
        }
        for joint, name in enumerate(body.joint_names)
    ]
    for joint, parent in enumerate(body.parents[1:], 1):
        nodes[parent].setdefault("children", []).append(joint)
    bind = np.tile(np.eye(4, dtype=np.float32), (len(nodes), 1, 1))
    bind[:, 3, :3] = -body.joints  # by columns
    content: dict[str, Any] = {
        "asset": {"version": "2.0", "generator": f"bodyreg {installed_version()}"},
        "scene": 0,
        "scenes": [{"nodes": [0, len(nodes)]}],
        "nodes": [*nodes, {"name": body.name, "mesh": 0, "skin": 0}],
        "materials": [MATERIAL],
        "meshes": [{"name": body.name, "primitives": [_primitive(motion, buffer)]}],
        "skins": [
            {
                "joints": list(range(len(nodes))),
                "skeleton": 0,
                "inverseBindMatrices": buffer.add(bind),
            }
        ],
    }
    if len(motion) > 1:
        content["animations"] = [_animation(motion, quaternions, rate, buffer)]
    return buffer.file(content)


def _primitive(motion: Motion, buffer: _Buffer) -> dict[str, Any]:
    body = motion.body
    faces = body.faces.astype(np.uint32)
    attributes = {
        "POSITION": buffer.add(body.vertices.astype(np.float32), VERTICES, limits=True),
        "NORMAL": buffer.add(body.vertex_normals.astype(np.float32), VERTICES),
    }
    spare = -body.weights.shape[1] % INFLUENCES
    weights = np.pad(body.weights.astype(np.float32), ((0, 0), (0, spare)))
    joints = np.pad(body.weight_joint_ids.astype(np.uint8), ((0, 0), (0, spare)))
    joints = np.where(weights > 0, joints, 0).astype(np.uint8)
    for number in range(weights.shape[1] // INFLUENCES):
        own = slice(INFLUENCES * number, INFLUENCES * (number + 1))
        attributes[f"JOINTS_{number}"] = buffer.add(joints[:, own], VERTICES)
        attributes[f"WEIGHTS_{number}"] = buffer.add(weights[:, own], VERTICES)
    indices = buffer.add(faces.reshape(-1), TRIANGLES)
    return {"attributes": attributes, "indices": indices, "material": 0}


def _animation(
    motion: Motion, quaternions: np.ndarray, rate: float, buffer: _Buffer
) -> dict[str, Any]:
    times = buffer.add((np.arange(len(motion)) / rate).astype(np.float32), limits=True)
    moved = [(0, "translation", motion.place)]
    moved += [(joint, "rotation", values) for joint, values in enumerate(quaternions)]
    return {
        "name": "motion",
        "samplers": [
            {"input": times, "output": buffer.add(values.astype(np.float32))}
            for *_, values in moved
        ],
        "channels": [
            {"sampler": number, "target": {"node": joint, "path": path}}
            for number, (joint, path, _) in enumerate(moved)
        ],
    }


def _continuous(quaternions: np.ndarray) -> np.ndarray:
    """The same rotations (T, 4), each quaternion with the sign nearer to the one before."""
    turned = (quaternions[1:] * quaternions[:-1]).sum(1) < 0
    signs = np.cumprod(np.concatenate([[1], np.where(turned, -1, 1)]))
    return quaternions * signs[:, None]


class _Buffer:
    """The binary part of a file, and what its JSON says of it."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._views: list[dict[str, Any]] = []
        self._accessors: list[dict[str, Any]] = []

    def add(self, array: np.ndarray, target: int | None = None, *, limits: bool = False) -> int:
        """Store an array with a row for each element; returns the number of its accessor.

        Args:
            array: float32, uint8 or uint32.
            target: What it is for, if it is of a mesh.
            limits: Also tell its least and largest values, as glTF demands of some arrays.
        """
        view = {"buffer": 0, "byteOffset": len(self._data), "byteLength": array.nbytes}
        self._views.append(view if target is None else view | {"target": target})
        accessor = {
            "bufferView": len(self._views) - 1,
            "componentType": TYPES[array.dtype],
            "count": len(array),
            "type": SHAPES[array.shape[1:]],
        }
        if limits:
            rows = array.reshape(len(array), -1)
            accessor |= {"min": rows.min(0).tolist(), "max": rows.max(0).tolist()}
        self._accessors.append(accessor)
        self._data += array.tobytes()
        self._data += bytes(-len(self._data) % 4)
        return len(self._accessors) - 1

    def file(self, content: dict[str, Any]) -> bytes:
        """The file of a JSON content and this buffer."""
        content |= {
            "accessors": self._accessors,
            "bufferViews": self._views,
            "buffers": [{"byteLength": len(self._data)}],
        }
        text = json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
        text += b" " * (-len(text) % 4)
        chunks = struct.pack("<I4s", len(text), b"JSON") + text
        chunks += struct.pack("<I4s", len(self._data), b"BIN\0") + bytes(self._data)
        return struct.pack("<4sII", b"glTF", 2, 12 + len(chunks)) + chunks

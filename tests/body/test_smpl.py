"""SMPL's files: good files load, bad files are refused in one line that names the fault."""

import pickle

import numpy as np
import pytest
from scipy import io, sparse

from bodyreg.body import PARENTS, Body
from bodyreg.body.landmarks import SMPL_LANDMARK_VERTICES
from bodyreg.body.storage import load_regressor
from bodyreg.errors import UserError
from tests.body.smpl_files import smpl_arrays, write_smpl_pickle


def check(body, arrays):
    np.testing.assert_allclose(body.vertices, arrays["v_template"], rtol=1e-6)
    np.testing.assert_array_equal(body.faces, arrays["f"])
    np.testing.assert_allclose(body.joints, arrays["J"], atol=1e-6)
    np.testing.assert_allclose(body.dense_weights, arrays["weights"], atol=1e-6)
    assert body.parents == PARENTS
    assert body.vertices.dtype == body.weights.dtype == body.joints.dtype == np.float32
    assert body.weight_joint_ids.dtype == np.int32


@pytest.mark.parametrize("protocol", [1, 2])
@pytest.mark.parametrize("chumpy", [True, False])
def test_python_2_pickle(tmp_path, protocol, chumpy):
    arrays = smpl_arrays()
    write_smpl_pickle(tmp_path / "smpl.pkl", arrays, protocol, chumpy)
    assert b"_core" not in (tmp_path / "smpl.pkl").read_bytes()
    body = Body.load(tmp_path / "smpl.pkl")
    check(body, arrays)
    assert body.name == "smpl"
    assert body.charts is None


@pytest.mark.parametrize("protocol", [2, 4, 5])
def test_python_3_pickle(tmp_path, protocol):
    import pickle

    arrays = smpl_arrays(1)
    arrays["J_regressor"] = sparse.csr_matrix(arrays["J_regressor"])
    (tmp_path / "smpl.pkl").write_bytes(pickle.dumps(arrays, protocol))
    check(Body.load(tmp_path / "smpl.pkl"), arrays)


@pytest.mark.parametrize("layout", [sparse.csc_matrix, sparse.csr_matrix, sparse.coo_matrix])
def test_joints_from_the_regressor(tmp_path, layout):
    import pickle

    arrays = smpl_arrays(2)
    content = {k: v for k, v in arrays.items() if k != "J"}
    content["J_regressor"] = layout(arrays["J_regressor"])
    (tmp_path / "smpl.pkl").write_bytes(pickle.dumps(content))
    check(Body.load(tmp_path / "smpl.pkl"), arrays)


def test_joints_that_only_chumpy_could_evaluate(tmp_path):
    arrays = smpl_arrays(2)
    write_smpl_pickle(tmp_path / "smpl.pkl", arrays, joints_as_expression=True)
    check(Body.load(tmp_path / "smpl.pkl"), arrays)


@pytest.mark.parametrize("regressed", [True, False])
def test_npz(tmp_path, regressed):
    arrays = smpl_arrays(3)
    content = {k: v for k, v in arrays.items() if not (regressed and k == "J")}
    # Real files hold unneeded pickled entries; these are skipped, not loaded.
    np.savez(tmp_path / "smpl.npz", part2num=np.array({"a": 1}), **content)
    check(Body.load(tmp_path / "smpl.npz"), arrays)


def test_our_own_file(tmp_path, body):
    body.save(tmp_path / "body.npz")
    again = Body.load(tmp_path / "body.npz")
    assert again.fingerprint == body.fingerprint
    for name in (
        "vertices", "faces", "joints", "weight_joint_ids", "weights", "mirror_vertices",
        "shape_directions", "shape_joint_directions",
    ):  # fmt: skip
        np.testing.assert_array_equal(getattr(again, name), getattr(body, name))
    for name in ("uv", "vertex", "faces", "part"):
        np.testing.assert_array_equal(getattr(again.charts, name), getattr(body.charts, name))
    assert again.charts.name == body.charts.name
    assert again.shape_names == body.shape_names
    assert list(again.landmarks) == list(body.landmarks)
    for name, landmark in body.landmarks.items():
        np.testing.assert_array_equal(again.landmarks[name].vertices, landmark.vertices)
        np.testing.assert_array_equal(again.landmarks[name].weights, landmark.weights)
    body.save(tmp_path / "twice.npz")
    assert (tmp_path / "twice.npz").read_bytes() == (tmp_path / "body.npz").read_bytes()


def test_a_body_without_extras_keeps_none(tmp_path):
    np.savez(tmp_path / "smpl.npz", **smpl_arrays(4))
    body = Body.load(tmp_path / "smpl.npz")
    body.save(tmp_path / "again.npz")
    again = Body.load(tmp_path / "again.npz")
    assert again.fingerprint == body.fingerprint
    assert again.charts is again.mirror_vertices is again.shape_directions is None
    assert list(again.landmarks) == ["head_top"]


def test_fingerprints_differ(body):
    person = body.with_shape([1.0] + [0.0] * (len(body.shape_names) - 1))
    assert person.fingerprint != body.fingerprint
    assert len(body.fingerprint) == 12


def test_landmarks_of_smpl(tmp_path):
    np.savez(tmp_path / "smpl.npz", **smpl_arrays(5, vertices=6890))
    body = Body.load(tmp_path / "smpl.npz")
    for name, vertex in SMPL_LANDMARK_VERTICES.items():
        assert body.landmarks[name].vertices.tolist() == [vertex]
    assert body.landmarks["head_top"].vertices[0] == body.vertices[:, 1].argmax()
    assert len(body.keypoints(["nose", "left_toe"])) == 2


def test_mirror_of_smpl(tmp_path):
    arrays = smpl_arrays(6)
    mirror = np.arange(61)[::-1]
    np.savez(tmp_path / "smpl.npz", vert_sym_idxs=mirror, **arrays)
    np.testing.assert_array_equal(Body.load(tmp_path / "smpl.npz").mirror_vertices, mirror)


def broken(key, value):
    def change(arrays):
        arrays[key] = value(arrays[key]) if callable(value) else value

    return change


def with_nan(array):
    array = array.astype(float)
    array.reshape(-1)[7] = np.nan
    return array


def with_value(index, value):
    def change(array):
        array = array.copy()
        array[index] = value
        return array

    return change


BROKEN = {
    "no weights": (lambda a: a.pop("weights"), "weights"),
    "no template": (lambda a: a.pop("v_template"), "v_template"),
    "no joints": (lambda a: (a.pop("J"), a.pop("J_regressor")), "'J'"),
    "weights of 10 %": (broken("weights", lambda w: w * 1.1), "vertex 0 sum to 1.1"),
    "one vertex of no weight": (broken("weights", with_value(9, 0.0)), "vertex 9"),
    "negative weight": (broken("weights", lambda w: w + 0.5 * (np.arange(24) % 2 * 2 - 1)), "neg"),
    "NaN vertex": (broken("v_template", with_nan), "'v_template' holds NaN"),
    "NaN weight": (broken("weights", with_nan), "'weights' holds NaN"),
    "NaN joint": (lambda a: (broken("J", with_nan)(a), a.pop("J_regressor")), "'J' holds NaN"),
    "regressor of other vertices": (
        lambda a: (a.pop("J"), broken("J_regressor", lambda r: r[:, 1:])(a)),
        "'J_regressor' of",
    ),
    "face too high": (broken("f", with_value((3, 1), 61)), "index 61"),
    "face below zero": (broken("f", lambda f: f.astype(int) - 70), "index -"),
    "faces of four": (broken("f", np.zeros((5, 4), int)), "'f' should be"),
    "too large for float32": (broken("v_template", lambda a: a * 1e300), "NaN or infinity"),
    "centimetres": (broken("v_template", lambda a: a * 100), "give 'v_template' in metres"),
    "kilometres": (broken("v_template", lambda a: a / 1000), "the body is 0.00"),
    "text": (broken("v_template", np.array(["a", "b"])), "'v_template' should be"),
    "empty": (broken("v_template", np.zeros((0, 3))), "'v_template'"),
    "weights of other vertices": (broken("weights", lambda w: w[:-1]), "'weights' should be"),
    "parent out of range": (broken("kintree_table", with_value((0, 5), 77)), "joint 5"),
    "another tree": (broken("kintree_table", with_value((0, 12), 0)), "joint 12 .neck."),
    "SMPL-X": (broken("weights", np.full((61, 55), 1 / 55)), "SMPL-X"),
    "SMPL+H": (broken("weights", np.full((61, 52), 1 / 52)), r"SMPL\+H"),
    "another format": (broken("format", lambda _: np.array("bodyreg-body-9")), "bodyreg-body-9"),
}


# A pickle's entries are numbers or not read at all, so these two cannot arise there.
NPZ_ONLY = ("another format", "text")


@pytest.mark.parametrize(
    ("case", "suffix"),
    [(case, "npz") for case in BROKEN] + [(case, "pkl") for case in BROKEN if case not in NPZ_ONLY],
)
def test_broken_models(tmp_path, case, suffix):
    import pickle

    change, message = BROKEN[case]
    arrays = smpl_arrays(7) | {"format": np.array("bodyreg-body-1")}
    if suffix == "pkl":
        del arrays["format"]
    change(arrays)
    path = tmp_path / f"model.{suffix}"
    if suffix == "npz":
        np.savez(path, **arrays)
    else:
        path.write_bytes(pickle.dumps(arrays))
    with pytest.raises(UserError, match=message) as caught:
        Body.load(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_within_one_percent_are_scaled(tmp_path):
    arrays = smpl_arrays(8)
    rng = np.random.default_rng(8)
    off = arrays["weights"] * rng.uniform(0.991, 1.009, (61, 1))
    np.savez(tmp_path / "smpl.npz", **(arrays | {"weights": off}))
    body = Body.load(tmp_path / "smpl.npz")
    np.testing.assert_allclose(body.weights.sum(1), 1, atol=1e-6)
    np.testing.assert_allclose(body.dense_weights, arrays["weights"], atol=1e-6)


@pytest.mark.parametrize("name", ["a.PKL", "a.pickle", "SMPL_NEUTRAL", "a.npz", "a.txt"])
def test_the_first_bytes_tell_the_format(tmp_path, name):
    arrays = smpl_arrays()
    (tmp_path / name).write_bytes(pickle.dumps(arrays, 2))
    check(Body.load(tmp_path / name), arrays)
    with (tmp_path / name).open("wb") as stream:
        np.savez(stream, **arrays)
    check(Body.load(tmp_path / name), arrays)
    with (tmp_path / name).open("wb") as stream:
        np.save(stream, np.eye(len(arrays["v_template"]))[:3])
    assert list(load_regressor(tmp_path / name, len(arrays["v_template"]))) == [
        "regressor_0", "regressor_1", "regressor_2",
    ]  # fmt: skip


@pytest.mark.parametrize("suffix", ["npz", "pkl"])
def test_missing_and_truncated_files(tmp_path, suffix):
    path = tmp_path / f"model.{suffix}"
    with pytest.raises(UserError, match="no such body file"):
        Body.load(path)
    if suffix == "npz":
        np.savez(path, **smpl_arrays(9))
    else:
        write_smpl_pickle(path, smpl_arrays(9))
    data = path.read_bytes()
    for keep in (0, 1, 50, len(data) // 2, len(data) - 1):
        path.write_bytes(data[:keep])
        with pytest.raises(UserError, match="not a readable body file") as caught:
            Body.load(path)
        assert "\n" not in str(caught.value)


def regressor(seed=0, rows=17, vertices=61):
    rng = np.random.default_rng(seed)
    matrix = rng.random((rows, vertices)) * (rng.random((rows, vertices)) < 0.2)
    matrix[:, 3] += 0.1
    return matrix / matrix.sum(1, keepdims=True)


@pytest.mark.parametrize("kind", ["npy", "dense", "named", "csr", "csc", "coo"])
def test_joint_regressors(tmp_path, kind):
    np.savez(tmp_path / "smpl.npz", **smpl_arrays(10))
    matrix = regressor()
    path = tmp_path / ("r.npy" if kind == "npy" else "r.npz")
    if kind == "npy":
        np.save(path, matrix)
    elif kind == "dense":
        np.savez(path, regressor=matrix)
    elif kind == "named":
        np.savez(path, regressor=matrix, names=np.array([f"h36m_{i}" for i in range(17)]))
    else:
        sparse.save_npz(path, sparse.coo_matrix(matrix).asformat(kind))
    body = Body.load(tmp_path / "smpl.npz", regressor=path)
    name = "h36m_5" if kind == "named" else "regressor_5"
    landmark = body.landmarks[name]
    point = landmark.weights @ body.vertices[landmark.vertices]
    np.testing.assert_allclose(point, matrix[5] @ body.vertices, atol=1e-6)
    # At rest a rig point is where the regressor puts it.
    anchors = body.keypoints([name]).anchors[0].sum(0)
    np.testing.assert_allclose(anchors[:3], point, atol=1e-5)
    assert anchors[3].item() == pytest.approx(1, abs=1e-5)


def sparse_file(path, **changes):
    sparse.save_npz(path, sparse.csr_matrix(regressor()))
    with np.load(path) as content:
        np.savez(path, **(dict(content) | changes))


@pytest.mark.parametrize(
    ("write", "message"),
    [
        (lambda p: np.savez(p, r=regressor(vertices=60)), "61"),
        (lambda p: np.savez(p, r=regressor() * 1.5), "row 0 sum to 1.5"),
        (lambda p: np.savez(p, r=regressor() * np.nan), "row 0"),
        (lambda p: np.savez(p, r=regressor(), names=np.array(["a"])), "1 names"),
        (lambda p: np.savez(p), "None"),
        (lambda p: sparse_file(p, indices=np.full(5, 10**6)), "sparse"),
        (lambda p: sparse_file(p, format=np.array("dia")), "sparse"),
        (lambda p: sparse_file(p, shape=np.array([10**9, 10**9])), "sparse"),
        (lambda p: p.write_bytes(b"PK"), "not a readable regressor"),
    ],
)
def test_bad_regressors(tmp_path, write, message):
    np.savez(tmp_path / "smpl.npz", **smpl_arrays(10))
    write(tmp_path / "r.npz")
    with pytest.raises(UserError, match=message) as caught:
        Body.load(tmp_path / "smpl.npz", regressor=tmp_path / "r.npz")
    assert "\n" not in str(caught.value)


def uv_content(seed=0, vertices=61):
    """Like UV_Processed.mat: 1-based, columns, 24 parts of two triangles in a square each."""
    rng = np.random.default_rng(seed)
    square = np.array([[0, 0], [1, 0], [1, 1], [0, 1]], float)
    triangles = np.array([[0, 1, 2], [0, 2, 3]])
    return {
        "All_vertices": rng.permutation(96)[None] % vertices + 1,
        "All_Faces": np.concatenate([triangles + 4 * p for p in range(24)]) + 1,
        "All_FaceIndices": np.repeat(np.arange(1, 25), 2)[:, None],
        "All_U_norm": np.tile(square[:, :1], (24, 1)),
        "All_V_norm": np.tile(square[:, 1:], (24, 1)),
        "All_U": rng.random((96, 1)),
    }


def test_uv_processed(tmp_path):
    np.savez(tmp_path / "smpl.npz", **smpl_arrays(11))
    content = uv_content()
    io.savemat(tmp_path / "UV_Processed.mat", content)
    body = Body.load(tmp_path / "smpl.npz", uv=tmp_path / "UV_Processed.mat")
    assert body.charts.name == "densepose"
    vertex, share = body.charts.locate(np.array([3]), np.array([[0.75, 0.25]]))
    corners = content["All_vertices"][0, 8:11] - 1
    np.testing.assert_array_equal(vertex[0], corners)
    np.testing.assert_allclose(share[0], [0.25, 0.5, 0.25], atol=1e-6)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"All_vertices": np.full((1, 96), 62)}, "All_vertices"),
        ({"All_Faces": np.zeros((48, 3), int)}, "All_Faces"),
        ({"All_FaceIndices": np.full((48, 1), 25)}, "All_FaceIndices"),
        ({"All_U_norm": np.full((96, 1), 1.5)}, "All_U_norm"),
        ({"All_V_norm": np.full((96, 1), np.nan)}, "All_U_norm and All_V_norm"),
        ({"All_U_norm": np.full((96, 1), 1e60)}, "All_U_norm and All_V_norm"),  # no float32
        ({"All_vertices": np.ones((1, 95), int)}, "contradict"),
        ({"All_V_norm": np.ones((95, 1))}, "other types or shapes"),
        ({"All_U_norm": None}, "has no 'All_U_norm'"),
    ],
)
def test_bad_uv_files(tmp_path, change, message):
    np.savez(tmp_path / "smpl.npz", **smpl_arrays(11))
    content = {k: v for k, v in (uv_content() | change).items() if v is not None}
    io.savemat(tmp_path / "uv.mat", content)
    with pytest.raises(UserError, match=message) as caught:
        Body.load(tmp_path / "smpl.npz", uv=tmp_path / "uv.mat")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("keep", [None, 0, 100, 500])
def test_missing_and_truncated_uv_files(tmp_path, keep):
    np.savez(tmp_path / "smpl.npz", **smpl_arrays(11))
    if keep is not None:
        io.savemat(tmp_path / "uv.mat", uv_content())
        (tmp_path / "uv.mat").write_bytes((tmp_path / "uv.mat").read_bytes()[:keep])
    with pytest.raises(UserError, match=r"uv\.mat"):
        Body.load(tmp_path / "smpl.npz", uv=tmp_path / "uv.mat")

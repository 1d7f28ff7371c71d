"""Builds bodyreg._C: the CPU ops, and the CUDA kernels where nvcc is found.

Everything is in one build.ninja, so that a second build compiles only what has changed, headers
included. nvcc is called directly: the .cu files do not use torch, so they compile beside a CPU-only
torch and on a machine without a GPU.

Environment:
    BODYREG_CUDA        auto (CUDA if nvcc is found, the default), 1 (an error without) or 0 (CPU)
    BODYREG_CUDA_ARCHS  compute capabilities, default "80;90"; PTX of the last one is built in too
    CUDA_HOME           where to look for bin/nvcc before PATH
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import sysconfig
from importlib.util import find_spec
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
CSRC = ROOT / "csrc"

# One build serves this torch and every later one.
TORCH_TARGET = (2, 11)

CXX_FLAGS = "-std=c++17 -O3 -fPIC -fvisibility=hidden -Wall -Wextra -Werror -Wno-psabi".split()
# Fused multiply-add and vector square roots; no sum is reordered.
CPU_FLAGS = "-ffp-contract=fast -fno-math-errno -fno-trapping-math".split()
# -mtune for Ice Lake makes fit 5 % faster than generic code, also on a Zen with AVX-512. A tuning
# that splits chains of multiply-adds, as gcc's for Zen does, must not be used: the instruction sets
# would no longer agree to the last bit.
ISA_FLAGS = {"baseline": []}
if platform.machine() in ("x86_64", "AMD64"):
    ISA_FLAGS["avx2"] = "-mtune=generic -mavx2 -mfma".split()
    ISA_FLAGS["avx512"] = "-mtune=icelake-server -mprefer-vector-width=512 -mfma".split()
    ISA_FLAGS["avx512"] += "-mavx512f -mavx512dq -mavx512vl -mavx512bw".split()
# Only the fit has groups of few people. For a person alone, vectorisation is off: it would separate
# products from their sums, and results would have other bits than in larger groups.
GROUP_FLAGS = {}
if "avx2" in ISA_FLAGS:
    GROUP_FLAGS["four"] = [*ISA_FLAGS["avx2"], "-DBODYREG_LANES=4"]
    GROUP_FLAGS["one"] = [*ISA_FLAGS["avx2"], "-DBODYREG_LANES=1", "-fno-tree-vectorize"]
NVCC_FLAGS = "-std=c++17 -O3 -lineinfo -Werror all-warnings -Xptxas -v".split()
NVCC_FLAGS += ["-Xcompiler", "-fPIC,-fvisibility=hidden,-Wall,-Wextra"]


def package_folder(name: str) -> Path:
    """The folder of an installed package, without importing it."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        sys.exit(f"bodyreg: building needs {name}: pip install {name}")
    return Path(spec.origin).parent


def run(*command: str | Path) -> str:
    """What a command prints, both streams."""
    done = subprocess.run(
        [str(part) for part in command], check=True, text=True, stdout=-1, stderr=subprocess.STDOUT
    )
    return done.stdout


def find_nvcc() -> Path | None:
    """The nvcc to use, or None for a build without CUDA."""
    wanted = os.environ.get("BODYREG_CUDA", "auto")
    if wanted not in ("auto", "0", "1"):
        sys.exit(f"bodyreg: BODYREG_CUDA: expected auto, 0 or 1, got {wanted}")
    if wanted == "0":
        return None
    home = os.environ.get("CUDA_HOME")
    found = (shutil.which("nvcc", path=f"{home}/bin") if home else None) or shutil.which("nvcc")
    if found is None and wanted == "1":
        sys.exit("bodyreg: BODYREG_CUDA=1, but there is no nvcc on PATH or in CUDA_HOME/bin")
    return Path(found) if found else None


class Cuda:
    """What a build with CUDA needs: archs, compiler flags, libraries."""

    def __init__(self, nvcc: Path):
        self.nvcc = nvcc
        archs = os.environ.get("BODYREG_CUDA_ARCHS", "80;90").replace(",", ";").split(";")
        self.archs = [arch.strip().replace(".", "") for arch in archs if arch.strip()]
        if not self.archs or not all(arch.rstrip("af").isdigit() for arch in self.archs):
            sys.exit('bodyreg: BODYREG_CUDA_ARCHS: expected something like "80;90"')
        self.version = run(nvcc, "--version").split("release ")[1].split(",")[0]

    @property
    def names(self) -> list[str]:
        return [f"sm_{arch}" for arch in self.archs] + [f"compute_{self.archs[-1]}"]

    @property
    def flags(self) -> list[str]:
        last = self.archs[-1]
        targets = [f"arch=compute_{arch},code=sm_{arch}" for arch in self.archs]
        targets.append(f"arch=compute_{last},code=compute_{last}")
        return NVCC_FLAGS + [part for target in targets for part in ("-gencode", target)]

    @property
    def link_flags(self) -> list[str]:
        """The CUDA runtime, linked statically; nvcc itself says where it lies."""
        dryrun = run(self.nvcc, "--dryrun", "-x", "cu", os.devnull, "-o", os.devnull)
        line = next(line for line in dryrun.splitlines() if "LIBRARIES=" in line)
        folders = [part.strip('"') for part in line.split("LIBRARIES=")[1].split()]
        return [f for f in folders if f.startswith("-L")] + "-lcudart_static -lrt -lpthread".split()


class NinjaFile:
    """Rules and edges of one build."""

    def __init__(self, cxx: str, nvcc: Path | None):
        self.objects: list[str] = []
        self.lines = [
            "ninja_required_version = 1.5",
            f"rule cxx\n  command = {cxx} -MMD -MF $out.d $flags -c $in -o $out\n"
            "  depfile = $out.d\n  deps = gcc\n  description = $in $isa",
            # ptxas reports what each kernel needs; tests/native/resources.py reads it.
            f"rule cuda\n  command = {nvcc} -MMD -MF $out.d $flags -c $in -o $out > $out.txt 2>&1"
            " || (cat $out.txt; exit 1)\n"
            "  depfile = $out.d\n  deps = gcc\n  description = $in",
            f"rule link\n  command = {cxx} -shared $in -o $out $flags\n  description = $out",
        ]

    def compile(self, rule: str, source: Path, flags: list[str], isa: str = "") -> None:
        target = "_".join(source.relative_to(CSRC).with_suffix("").parts)
        target += ("_" + isa if isa else "") + ("_cu.o" if rule == "cuda" else ".o")
        self.objects.append(target)
        self.lines.append(f"build {target}: {rule} {escape(source)}\n  flags = {join(flags)}")
        if isa:
            self.lines.append(f"  isa = ({isa})")

    def link(self, target: Path, flags: list[str]) -> None:
        objects = " ".join(self.objects)
        self.lines.append(f"build {escape(target)}: link {objects}\n  flags = {join(flags)}")

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "build.ninja").write_text("\n".join(self.lines) + "\n")


def escape(path: Path) -> str:
    return str(path).replace("$", "$$").replace(" ", "$ ").replace(":", "$:")


def join(flags: list[str]) -> str:
    return shlex.join(flags).replace("$", "$$")


class BuildNative(build_ext):
    """build_ext by ninja."""

    def build_extension(self, ext: Extension) -> None:
        target = Path(self.get_ext_fullpath(ext.name)).resolve()
        target.parent.mkdir(parents=True, exist_ok=True)
        folder = ROOT / "build" / f"native-{sys.implementation.cache_tag}"
        cxx = os.environ.get("CXX", "g++")
        nvcc = find_nvcc()
        self.plan(cxx, Cuda(nvcc) if nvcc else None, target).write(folder)
        ninja = shutil.which("ninja", path=str(Path(sys.executable).parent)) or "ninja"
        subprocess.run([ninja, "-C", str(folder)], check=True)

    def plan(self, cxx: str, cuda: Cuda | None, target: Path) -> NinjaFile:
        torch = package_folder("torch")
        folders = [torch / "include", package_folder("pybind11") / "include"]
        system = [f"-isystem{folder}" for folder in (*folders, sysconfig.get_path("include"))]
        major, minor = TORCH_TARGET
        torch_flags = [*system, f"-DTORCH_TARGET_VERSION=0x{major:02x}{minor:02x}000000000000"]
        if cuda:
            torch_flags.append("-DBODYREG_WITH_CUDA")
        facts = {
            "VERSION": self.distribution.get_version(),
            "COMPILER": run(cxx, "--version").splitlines()[0],
            "TORCH_TARGET": f"{major}.{minor}",
            "NVCC": cuda.version if cuda else "",
            "CUDA_ARCHS": " ".join(cuda.names) if cuda else "",
        }
        defines = [f'-DBODYREG_{name}="{value}"' for name, value in facts.items()]

        plan = NinjaFile(cxx, cuda.nvcc if cuda else None)
        for source in sorted(CSRC.rglob("*_op.cpp")):
            plan.compile("cxx", source, CXX_FLAGS + torch_flags)
        for source in sorted(CSRC.rglob("*_cpu.cpp")):
            groups = GROUP_FLAGS if source.name == "fit_cpu.cpp" else {}
            for isa, flags in (ISA_FLAGS | groups).items():
                plan.compile(
                    "cxx", source, [*CXX_FLAGS, *CPU_FLAGS, *flags, f"-DBODYREG_ISA={isa}"], isa
                )
        plan.compile("cxx", CSRC / "module.cpp", CXX_FLAGS + system + defines)
        plan.compile("cxx", CSRC / "common" / "isa.cpp", CXX_FLAGS)
        plan.compile("cxx", CSRC / "common" / "stream.cpp", CXX_FLAGS)
        for source in sorted(CSRC.rglob("*.cu")) if cuda else []:
            plan.compile("cuda", source, cuda.flags)
        link = [f"-L{torch / 'lib'}", "-ltorch_cpu"]
        link.append(f"-Wl,--version-script={CSRC / 'exports.map'}")
        plan.link(target, [*link, *(cuda.link_flags if cuda else []), "-ldl"])
        return plan


setup(
    # BuildNative finds the sources itself. This name puts the extension into setuptools' plan.
    ext_modules=[Extension("bodyreg._C", sources=["csrc/module.cpp"])],
    cmdclass={"build_ext": BuildNative},
)

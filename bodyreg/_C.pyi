from typing import TypedDict

class BuildInfo(TypedDict):
    version: str
    compiler: str
    torch_target: str
    nvcc: str | None
    cuda_archs: list[str]
    isa: list[str]

def build_info() -> BuildInfo: ...
def set_isa(name: str) -> None: ...

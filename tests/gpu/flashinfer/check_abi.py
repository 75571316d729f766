#!/usr/bin/env python3
"""What the all-reduce kernels of a FlashInfer release look like to a tool that only sees launches.

Downloads each release from the Python package index, compiles its headers to PTX with the flags of
FlashInfer's own build, and prints for every Lamport kernel the mangled name, the parameters as the
driver counts them, how its polling loop compares (flush-to-zero or bitwise), the fields of a
parameter struct with their offsets, and a digest of the header's code, equal where two releases
differ only in comments and blanks. Needs pip and nvcc 13, no GPU. One thread.

Exit status: 0 all releases read, 1 some could not be, 2 usage.
"""

import argparse
import hashlib
import json
import pathlib
import re
import subprocess
import sys
import tarfile
import zipfile

MNNVL = "trtllm_mnnvl_allreduce.cuh"
UNICAST = "trtllm_allreduce_fusion.cuh"
FLAGS = ["-ptx", "-arch=compute_90", "-std=c++17", "-use_fast_math", "--expt-relaxed-constexpr",
         "-DNDEBUG", "-O3", "-DFLASHINFER_ENABLE_F16", "-DFLASHINFER_ENABLE_BF16",
         "-DFLASHINFER_ENABLE_FP8_E4M3", "-DFLASHINFER_ENABLE_FP8_E5M2",
         "-DFLASHINFER_ENABLE_FP8_E8M0", "-DFLASHINFER_ENABLE_FP4_E2M1"]
SIZES = {"b8": 1, "u8": 1, "s8": 1, "b16": 2, "u16": 2, "b32": 4, "u32": 4, "s32": 4, "f32": 4,
         "b64": 8, "u64": 8, "s64": 8, "f64": 8}
# From the part of the mangled name behind the template arguments, longest first.
ERAS = [("oneshotAllreduceFusionKernel", "21AllReduceKernelParams", "E/G"),
        ("oneshotAllreduceFusionKernel", "iiffiPj", "D"),
        ("oneshotAllreduceFusionKernel", "iifiPj", "C"),
        ("twoshotAllreduceKernel", "21AllReduceKernelParams", "E/G"),
        ("twoshotAllreduceKernel", "jjjPjb", "C/D"),
        ("rmsNormLamport", "21AllReduceKernelParams", "E/G"),
        ("rmsNormLamport", "ffS8_jjjPj", "D"),
        ("rmsNormLamport", "fS8_jjjPj", "C"),
        ("twoshot_allreduce_kernel", "iiiiPjb", "A/B"),
        ("RMSNorm", "S8_fS8_iPj", "A/B"),
        ("allreduce_fusion_kernel_", "21AllReduceFusionParams", "unicast")]


class Unreadable(Exception):
    """A release that could not be downloaded or compiled; the message says why."""


def download(version: str, cache: pathlib.Path) -> pathlib.Path:
    """The wheel, or for releases without one the source archive."""
    def stored():
        names = [f"flashinfer_python-{version}-*.whl", f"flashinfer_python-{version}.tar.gz"]
        return [path for name in names for path in cache.glob(name)]

    if not stored():
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps",
                   "--no-build-isolation", "-d", str(cache), f"flashinfer-python=={version}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if not stored():
            last = (done.stderr.strip().splitlines() or ["no output"])[-1]
            raise Unreadable(f"pip download: {last}")
    return stored()[0]


def unpack_headers(archive: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Unpacks what the two headers include; returns the include folder."""
    if not folder.exists():
        wanted = re.compile(r"(^|/)(include/flashinfer|spdlog/include|3rdparty/spdlog/include)/")
        if archive.suffix == ".whl":
            with zipfile.ZipFile(archive) as file:
                file.extractall(folder, [n for n in file.namelist() if wanted.search(n)])
        else:
            with tarfile.open(archive) as file:
                members = [m for m in file.getmembers() if m.isfile() and wanted.search(m.name)]
                file.extractall(folder, members, filter="data")
    for header in folder.rglob(f"flashinfer/comm/{MNNVL}"):
        return header.parents[2]
    raise Unreadable(f"has no {MNNVL}")


def code_of(header: pathlib.Path) -> str:
    text = re.sub(r"//[^\n]*|/\*.*?\*/", "", header.read_text(encoding="utf-8"), flags=re.DOTALL)
    return " ".join(text.split())


def digest(header: pathlib.Path) -> str:
    return hashlib.sha256(code_of(header).encode()).hexdigest()[:12]


def struct_fields(code: str, name: str) -> list:
    match = re.search(rf"struct {name} \{{(.*?)\}};", code)
    if not match:
        return []
    fields = [field.split("=")[0].split()[-1] for field in match[1].split(";") if field.strip()]
    return [field.strip("*&") for field in fields]


def kernel_uses(code: str) -> list:
    """One template instance of each kernel that the code has, bf16."""
    t = "__nv_bfloat16"
    quantised = "QuantType QType" in code
    uses = {
        "oneshotAllreduceFusionKernel": f"<8, {t}, true>",
        "twoshotAllreduceKernel": f"<8, {t}>",
        "rmsNormLamport": f"<{t}>" if quantised else f"<{t}, {t}>",
        "twoshot_allreduce_kernel": f"<8, {t}>",
        "RMSNorm": f"<7168, 128, 1, {t}, {t}>",
        "allreduce_fusion_kernel_oneshot_lamport":
            f"<AllReduceFusionPattern::kARResidualRMSNorm, {t}, 8, true>",
        "allreduce_fusion_kernel_twoshot_sync":
            f"<AllReduceFusionPattern::kARResidualRMSNorm, {t}, 8, true>",
    }
    defined = re.findall(r"__global__[^;{]*?\b(\w+) ?\((?!\d)", code)
    return [name + arguments for name, arguments in uses.items() if name in defined]


def probe_source(header: str, namespace: str, code: str) -> str:
    lines = ["#include <cstddef>", f"#include <flashinfer/comm/{header}>",
             f"using namespace flashinfer::{namespace};"]
    for number, use in enumerate(kernel_uses(code)):
        lines.append(f"void Use{number}(void** p) {{ auto k = &{use}; *p = (void*)k; }}")
    for name in ("AllReduceKernelParams", "AllReduceFusionParams"):
        fields = struct_fields(code, name)
        if not fields or f"template <typename T> struct {name}" not in code:
            continue  # the MNNVL header's AllReduceFusionParams is no template: host only
        offsets = ", ".join(f"offsetof({name}<__nv_bfloat16>, {field})" for field in fields)
        lines.append(f'extern "C" __device__ unsigned offsets_{name}[] = {{{offsets}, '
                     f"sizeof({name}<__nv_bfloat16>)}};")
    return "\n".join(lines) + "\n"


def compile_ptx(source: str, include: pathlib.Path, stem: pathlib.Path, nvcc: str) -> str:
    stem.with_suffix(".cu").write_text(source)
    spdlog = list(include.parent.rglob("spdlog/include")) + list(
        include.parents[1].rglob("spdlog/include"))
    folders = [include] + spdlog[:1]
    command = [nvcc, *FLAGS, *(f"-I{folder}" for folder in folders), "-diag-suppress=1444",
               str(stem.with_suffix(".cu")), "-o", str(stem.with_suffix(".ptx"))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        errors = [line for line in done.stderr.splitlines() if "error" in line]
        raise Unreadable(f"nvcc: {(errors or [done.stderr.strip()[-200:]])[0]}")
    return stem.with_suffix(".ptx").read_text()


def parameters_of(declaration: str) -> list:
    """[(offset, size)], as cuFuncGetParamInfo gives them."""
    result, offset = [], 0
    for text in re.findall(r"\.param ([^,\n]+)", declaration):
        array = re.search(r"\.align (\d+) \.b8 \S+\[(\d+)\]", text)
        if array:
            align, size = int(array[1]), int(array[2])
        else:
            align = size = SIZES[re.search(r"\.([busf]\d+)", text)[1]]
        offset = (offset + align - 1) // align * align
        result.append((offset, size))
        offset += size
    return result


def compare_of(body: str) -> str:
    """How the polling loop compares what its volatile loads bring."""
    _, load, loop = body.partition("ld.volatile")
    if not load:
        return "nothing"
    ways = {
        "flush-to-zero": r"setp\.(eq|neu|ne)\.ftz\.f32\s+%p\d+, %f?r?\d+, 0f00000000",
        "words bitwise": r"setp\.(eq|ne)\.[bsu]32\s+%p\d+, %r\d+, -2147483648",
        "16-bit elements bitwise": r"setp\.(eq|ne)\.[bsu]16\s+%p\d+, %rs\d+, -32768",
    }
    # The first that is there: a loop over words is followed by 16-bit compares of its results.
    return next((way for way, pattern in ways.items() if re.search(pattern, loop)), "no sentinel")


def era_of(symbol: str) -> str:
    for name, signature, era in ERAS:
        if name in symbol and signature in symbol:
            return era
    return "unknown"


def kernels_of(ptx: str) -> list:
    pattern = re.compile(r"\.entry (\w+)\((.*?)\)\s*(?:\.\w+ [^\n]*\n)*\{(.*?)\n\}", re.DOTALL)
    kernels = []
    for symbol, declaration, body in pattern.findall(ptx):
        kernels.append({
            "symbol": symbol,
            "era": era_of(symbol),
            "parameters": parameters_of(declaration),
            "compare": compare_of(body),
        })
    return sorted(kernels, key=lambda kernel: kernel["symbol"])


def offsets_of(ptx: str, code: str) -> dict:
    structs = {}
    for name, values in re.findall(r"\.b8 offsets_(\w+)\[\d+\] = \{([^}]*)\}", ptx):
        raw = bytes(int(value) for value in values.split(","))
        names = struct_fields(code, name) + ["sizeof"]
        raw = raw.ljust(4 * len(names), b"\0")  # PTX leaves out zeros at the end
        numbers = [int.from_bytes(raw[4 * i : 4 * i + 4], "little") for i in range(len(names))]
        structs[name] = dict(zip(names, numbers))
    return structs


def read_release(version: str, cache: pathlib.Path, nvcc: str) -> dict:
    folder = cache / version
    include = unpack_headers(download(version, cache), folder / "unpacked")
    result = {"version": version, "headers": {}}
    namespaces = {MNNVL: "trtllm_mnnvl_allreduce", UNICAST: "trtllm_allreduce_fusion"}
    for header, namespace in namespaces.items():
        path = include / "flashinfer" / "comm" / header
        if not path.exists():
            continue
        code = code_of(path)
        ptx = compile_ptx(probe_source(header, namespace, code), include,
                          folder / path.stem, nvcc)
        result["headers"][header] = {
            "digest": digest(path), "kernels": kernels_of(ptx), "structs": offsets_of(ptx, code),
        }
    return result


def print_release(release: dict) -> None:
    for header, content in release["headers"].items():
        print(f"{release['version']}  {header}  code {content['digest']}")
        for kernel in content["kernels"]:
            parameters = " ".join(f"{offset}:{size}" for offset, size in kernel["parameters"])
            print(f"  {kernel['symbol']}\n    era {kernel['era']}, compares {kernel['compare']}, "
                  f"parameters (offset:size) {parameters}")
        for name, fields in content["structs"].items():
            print(f"  {name}: " + ", ".join(f"{k} {v}" for k, v in fields.items()))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("version", nargs="+", help="releases, like 0.6.4")
    parser.add_argument("--cache", type=pathlib.Path, default=pathlib.Path("build/flashinfer-abi"))
    parser.add_argument("--nvcc", default="nvcc")
    parser.add_argument("--json", type=pathlib.Path, help="write everything to this file too")
    arguments = parser.parse_args()
    arguments.cache.mkdir(parents=True, exist_ok=True)
    releases, failed = [], 0
    for version in arguments.version:
        try:
            releases.append(read_release(version, arguments.cache.resolve(), arguments.nvcc))
            print_release(releases[-1])
        except Unreadable as error:
            print(f"{version}: {error}", file=sys.stderr)
            failed += 1
    if arguments.json:
        arguments.json.write_text(json.dumps(releases, indent=1))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""How the library of own ops is compiled, by Bazel (BUILD) and without it (compile.py).

Only constants: compile.py reads this file as Python.
"""

# No -march: one library serves every CPU. A function that needs AVX-512 says so itself, with
# __attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"))), and is called only after cpu.h was
# asked. No contraction of a * b + c: an op rounds as its readable twin does.
COPTS = [
    "-std=c++17",
    "-O3",
    "-fPIC",
    "-ffp-contract=off",
    "-fno-math-errno",
    # Comparisons in loops become masks; no op reads the flags that they might raise.
    "-fno-trapping-math",
    "-fvisibility=hidden",
    "-Wall",
    "-Wextra",
    # GCC 12 warns of the intrinsics in its own headers.
    "-Wno-uninitialized",
    "-Wno-maybe-uninitialized",
]

# What tf.sysconfig.get_compile_flags() and get_link_flags() say, but for their folders and the
# standard; tests/kernels/compile_test.py compares.
TENSORFLOW_COPTS = [
    "-D_GLIBCXX_USE_CXX11_ABI=1",
    "-DEIGEN_MAX_ALIGN_BYTES=64",
]
TENSORFLOW_LINKOPTS = ["-l:libtensorflow_framework.so.2"]

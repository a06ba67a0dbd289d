package l4

// The tests' own program, over the same headers.
//go:generate go tool bpf2go -tags linux -target bpfel -cc clang-19 -strip llvm-strip-19 -type step rehearsal ../bpf/rehearsal.bpf.c -- -O2 -g -fno-strict-aliasing -mcpu=v3 -Wall -Wextra -Werror -Wno-c23-extensions -I/usr/include/x86_64-linux-gnu

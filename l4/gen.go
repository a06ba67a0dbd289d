package l4

// The C compiler is pinned, because no two versions make the same object. Paths
// in debug information are made relative, so the checkout's place does not matter.
//go:generate go tool bpf2go -tags linux -target bpfel -cc clang-19 -strip llvm-strip-19 -type address -type vip -type prefix -type class -type policy -type service -type line -type destination -type locality -type forward -type backend_flag -type backend -type server_key -type server -type load -type persistence -type clients -type template -type lost -type service_flag -type setting -type news -type adoption -type tally -type tallies -type tuple4 -type tuple6 -type flow -type entry4 -type entry6 -type bin -type vacancy -type counters -type port -type name -type retirement -type cookies -type joint -type defence -type about xdp ../bpf/balancer.bpf.c -- -O2 -g -mcpu=v3 -Wall -Wextra -Werror -Wno-c23-extensions -I/usr/include/x86_64-linux-gnu
//go:generate go tool bpf2go -tags linux -target bpfel -cc clang-19 -strip llvm-strip-19 -type tunnel_end -type source decap ../bpf/decap.bpf.c -- -O2 -g -mcpu=v3 -Wall -Wextra -Werror -Wno-c23-extensions -I/usr/include/x86_64-linux-gnu

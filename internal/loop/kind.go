package loop

// Kind is the kernel interface that a loop uses.
type Kind uint8

// The kinds. Auto is what Probe recommends.
const (
	Auto Kind = iota
	Epoll
	URing
)

func (k Kind) String() string {
	switch k {
	case Auto:
		return "auto"
	case Epoll:
		return "epoll"
	case URing:
		return "io_uring"
	}
	return "unknown"
}

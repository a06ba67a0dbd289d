package scenario

// Words and numbers of the l4 plane.
type (
	LostWord = Enum[losts]
	Bits4    = Int[bits4Bounds]
	Bits6    = Int[bits6Bounds]
)

type (
	losts       struct{}
	bits4Bounds struct{}
	bits6Bounds struct{}
)

func (losts) words() []string { return []string{"move", "drop", "expire", "reset"} }

func (bits4Bounds) bounds() (string, int64, int64) { return "a number of bits", 1, 32 }
func (bits6Bounds) bounds() (string, int64, int64) { return "a number of bits", 1, 128 }

// PersistSpec is persistence as typed.
type PersistSpec struct {
	Pos     Pos
	Timeout Val[Duration] `yaml:"timeout" required:"true" short:"true" doc:"How long a client without connections keeps its backend."`
	Bits4   Val[Bits4]    `yaml:"bits4" default:"32" doc:"IPv4 clients that share so many bits are one."`
	Bits6   Val[Bits6]    `yaml:"bits6" default:"128" doc:"The same for IPv6."`
	Quiesce Val[Bool]     `yaml:"quiesce" default:"false" doc:"A backend of weight 0 loses its clients, too (expire_quiescent_template)."`
}

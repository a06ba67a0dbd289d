package scenario

import (
	"time"

	"lbctl/internal/lb"
)

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

// PersistSpec is how clients of a service stick to backends, as typed.
type PersistSpec struct {
	Pos     Pos
	Timeout Val[Stay]  `yaml:"timeout" required:"true" short:"true" doc:"After the client's last connection, and for as long as it has one."`
	Bits4   Val[Bits4] `yaml:"bits4" default:"32" doc:"IPv4 clients that share this many bits of their address are one."`
	Bits6   Val[Bits6] `yaml:"bits6" default:"128" doc:"The same of IPv6."`
	Quiesce Val[Bool]  `yaml:"quiesce" default:"false" doc:"A backend of weight 0 loses its clients, too; else only those that have left it do not come back. One that is drained always does."`
}

// persistence is none if nothing was typed.
func (typed PersistSpec) persistence() lb.Persistence {
	if !typed.Pos.IsSet() {
		return lb.Persistence{}
	}
	p := filled(typed)
	return lb.Persistence{
		Timeout: time.Duration(p.Timeout.Value),
		Bits4:   uint8(p.Bits4.Value), Bits6: uint8(p.Bits6.Value), Quiesce: bool(p.Quiesce.Value),
	}
}

// lostOf has no word for what is usual.
func lostOf(word LostWord) lb.Lost {
	if word == "move" {
		return lb.LostMoves
	}
	return lb.Lost(word)
}

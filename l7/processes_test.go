package l7

import (
	"errors"
	"testing"

	"lbctl/internal/scoreboard"
	"lbctl/internal/supervise"
)

func TestALateHelloOfADeadWorkerIsNotItsSuccessors(t *testing.T) {
	board, err := scoreboard.Create(scoreboard.Sizes{Children: 2, Threads: 1, Cells: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer board.Close()
	p := newProcesses(newMaster(quiet, board), testShape().WithDefaults(), 2)
	dead, successor := supervise.Place{Slot: 1, Generation: 1, Serial: 2}, supervise.Place{Slot: 1, Generation: 1, Serial: 3}
	p.welcome(dead)
	if p.isUp(successor) {
		t.Error("the successor is told of configurations before it has asked for one")
	}
	p.welcome(successor)
	p.welcome(dead)
	if !p.isUp(successor) || p.isUp(dead) {
		t.Error("the successor is not told of configurations any more")
	}
	if err := p.tell(dead, p.master.current.Load(), nil); !ended(err) || ended(errors.New("no")) {
		t.Errorf("tell the dead = %v", err)
	}
}

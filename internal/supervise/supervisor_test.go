package supervise

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"
)

func TestWhatDiedIsRestartedInItsSlot(t *testing.T) {
	b := newBench(t, "child")
	b.reload(t, 1, 2)
	before := b.serving()
	client := dialInALoop(b.addr)
	const kills = 3
	for range kills {
		victim, begin := b.serving()[1], time.Now()
		kill(t, victim.PID)
		eventually(t, "a successor serves", func() bool {
			now, ok := b.serving()[1]
			return ok && now.PID != victim.PID
		})
		t.Logf("a successor serves after %s", time.Since(begin).Round(time.Millisecond))
		time.Sleep(20 * time.Millisecond)
	}
	client.end(t, kills*3)
	if now := b.serving(); now[0] != before[0] {
		t.Errorf("the other child is %+v, was %+v", now[0], before[0])
	}
	st := b.Status()
	if st.Died != kills || len(st.Deaths) != kills || st.Deaths[0].Reason != "signal: killed" || st.Deaths[0].PID != before[1].PID || st.Deaths[0].Asked {
		t.Errorf("status = %+v", st)
	}
}

func TestACrashLoopIsBraked(t *testing.T) {
	b := newBench(t, "child", "child crash")
	b.reload(t, 1, 1)
	b.mu.Lock()
	b.generation = 2 // as if the children had begun to crash long after their reload
	b.mu.Unlock()
	begin := time.Now()
	b.Spawn(0)
	eventually(t, "five deaths", func() bool { return b.Status().Died >= freeDeaths })
	time.Sleep(500 * time.Millisecond)
	if died := b.Status().Died; died != freeDeaths {
		t.Errorf("%d deaths, want a wait after %d", died, freeDeaths)
	}
	eventually(t, "a sixth death", func() bool { return b.Status().Died > freeDeaths })
	if after := time.Since(begin); after < time.Second {
		t.Errorf("the sixth death came after %s, want a second's wait", after)
	}
	if d := b.Status().Deaths[0]; d.Reason != "exit status 3" || d.Generation != 2 {
		t.Errorf("death = %+v", d)
	}
}

func TestReloadServesEveryConnection(t *testing.T) {
	b := newBench(t, "child", "child", "child")
	b.reload(t, 1, 2)
	client := dialInALoop(b.addr)
	for generation := uint64(2); generation <= 3; generation++ {
		b.reload(t, generation, 2)
		eventually(t, "the old ones have ended", func() bool { return len(b.Status().Children) == 2 })
		for slot, c := range b.serving() {
			if c.Generation != generation {
				t.Errorf("slot %d has %+v", slot, c)
			}
		}
	}
	client.end(t, 0)
	for _, d := range b.Status().Deaths {
		if !d.Asked || d.Reason != "exit status 0" {
			t.Errorf("death = %+v, want exit status 0", d)
		}
	}
}

func TestAReloadThatFailsChangesNothing(t *testing.T) {
	b := newBench(t, "child", "child crash", "child mute")
	b.reload(t, 1, 2)
	before := b.serving()
	client := dialInALoop(b.addr)
	err := b.Reload(deadline(t, 10*time.Second), 2, 2)
	if err == nil || !strings.Contains(err.Error(), "died: exit status 3") {
		t.Errorf("reload to what crashes = %v", err)
	}
	err = b.Reload(deadline(t, 300*time.Millisecond), 3, 2)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("reload to what is never ready = %v", err)
	}
	eventually(t, "the new ones have ended", func() bool { return len(b.Status().Children) == 2 })
	client.end(t, 0)
	if now := b.serving(); now[0] != before[0] || now[1] != before[1] || b.Status().Generation != 1 {
		t.Errorf("children = %+v, were %+v", now, before)
	}
}

func TestWithFewSlotsTheRestFollows(t *testing.T) {
	b := newBench(t, "child", "child")
	b.reload(t, 1, 6)
	client := dialInALoop(b.addr)
	b.reload(t, 2, 6)
	eventually(t, "six new ones serve", func() bool {
		n := 0
		for _, c := range b.serving() {
			if c.Generation == 2 {
				n++
			}
		}
		return n == 6
	})
	client.end(t, 0)
}

func TestWhoHasFinishedForLongestEndsWhenItsSlotIsNeeded(t *testing.T) {
	b := newBench(t, "child busy", "child busy", "child")
	b.config.DrainTimeout = time.Hour
	b.reload(t, 1, 4)
	b.reload(t, 2, 3) // 4 and 3 of 8 slots: the third generation lacks two
	before := b.Status().Children
	b.reload(t, 3, 3)
	left := map[uint64]int{}
	for _, c := range b.Status().Children {
		left[c.Generation]++
	}
	if left[1] != 2 || left[2] != 3 || left[3] != 3 {
		t.Errorf("left by generation: %v", left)
	}
	for _, d := range b.Status().Deaths {
		if d.PID != before[0].PID && d.PID != before[1].PID || !d.Asked {
			t.Errorf("%+v has ended", d)
		}
	}
	b.Spawn(3)
	eventually(t, "six of the third serve", func() bool { return len(b.serving()) == 6 })
	if n := len(b.Status().Children); n != 8 {
		t.Errorf("%d children, want that 2 of the second generation still finish", n)
	}
}

func TestSpawnAndRetire(t *testing.T) {
	b := newBench(t, "child")
	b.reload(t, 1, 1)
	b.Spawn(2)
	eventually(t, "three serve", func() bool { return len(b.serving()) == 3 })
	retired := b.serving()[1].Place
	if err := b.Retire(retired); err != nil {
		t.Fatal(err)
	}
	eventually(t, "two are left", func() bool { return len(b.Status().Children) == 2 })
	if st := b.Status(); st.Wanted != 2 || st.Children[1].Slot != 2 {
		t.Errorf("status = %+v", st)
	}
	if err := b.Reload(deadline(t, time.Second), 1, 1); !errors.Is(err, ErrOldGeneration) {
		t.Errorf("reload to the same generation = %v, want ErrOldGeneration", err)
	}
	if err := b.Retire(retired); !errors.Is(err, ErrNoChild) {
		t.Errorf("retire nobody = %v, want ErrNoChild", err)
	}
	b.Spawn(20)
	eventually(t, "every slot has a child", func() bool { return len(b.serving()) == 8 })
	if err := b.Reload(deadline(t, time.Second), 2, 1); !errors.Is(err, ErrNoSlot) {
		t.Errorf("reload without a slot = %v, want ErrNoSlot", err)
	}
}

func TestMessages(t *testing.T) {
	b := newBench(t, "child")
	b.reload(t, 1, 2)
	var got string
	if err := b.Call(deadline(t, 5*time.Second), b.serving()[1].Place, "reopen", nil, &got); err != nil || got != "reopen" {
		t.Errorf("call = %q, %v", got, err)
	}
	for _, nobody := range []Place{{}, {Slot: 7}, {Slot: 8}, {Slot: -1}} {
		if err := b.Call(deadline(t, 5*time.Second), nobody, "reopen", nil, nil); !errors.Is(err, ErrNoChild) {
			t.Errorf("call nobody = %v, want ErrNoChild", err)
		}
	}
}

func TestWhoIsInTheSlotOfADeadChildIsAnother(t *testing.T) {
	b := newBench(t, "child")
	b.reload(t, 1, 1)
	first := b.serving()[0]
	if err := b.Kill(first.Place); err != nil {
		t.Fatal(err)
	}
	eventually(t, "a successor serves", func() bool { return len(b.serving()) == 1 && b.serving()[0].PID != first.PID })
	second := b.serving()[0]
	if second.Slot != first.Slot || second.Generation != first.Generation {
		t.Fatalf("%+v has come after %+v", second, first)
	}
	for what, err := range map[string]error{
		"call":   b.Call(deadline(t, 5*time.Second), first.Place, "reopen", nil, nil),
		"retire": b.Retire(first.Place),
		"kill":   b.Kill(first.Place),
	} {
		if !errors.Is(err, ErrNoChild) {
			t.Errorf("%s = %v, want ErrNoChild", what, err)
		}
	}
	if now := b.Status(); now.Wanted != 1 || len(now.Children) != 1 || now.Children[0] != second {
		t.Errorf("status = %+v, want %+v as before", now, second)
	}
}

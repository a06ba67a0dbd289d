package loop

import (
	"bytes"
	"testing"
)

func TestAQueueGivesBackWhatWentIn(t *testing.T) {
	var p blocks
	var q queue
	want := pattern(500_000)
	var got []byte
	for i, rest := 0, want; len(rest) > 0 || q.n > 0; i++ {
		n := min(len(rest), i*37%90_000)
		p.append(&q, rest[:n])
		rest = rest[n:]
		if b := q.head; b != nil {
			take := min(b.w-b.r, 1+i*91%70_000)
			got = append(got, b.b[b.r:b.r+take]...)
			p.consume(&q, take)
		}
	}
	if !bytes.Equal(got, want) || q.head != nil || q.tail != nil {
		t.Errorf("got %d bytes that are not the %d put in, left %v", len(got), len(want), q)
	}
}

func TestAShelfForgetsAPeakAndKeepsWhatIsUsed(t *testing.T) {
	var p blocks
	var peak, steady queue
	p.append(&peak, make([]byte, 100*largeBlock))
	p.drop(&peak)
	for range 20 {
		for range 3 {
			p.append(&steady, make([]byte, 5*largeBlock))
			p.drop(&steady)
		}
		p.large.trim()
	}
	if p.large.n < 5 || p.large.n > 6 {
		t.Errorf("%d blocks are kept where 5 are in use", p.large.n)
	}
}

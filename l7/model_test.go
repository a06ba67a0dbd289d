package l7

import (
	"testing"

	"lbctl/internal/lb"
	"lbctl/internal/loop"
)

func TestTheKindsOfEventLoopsAreCalledAsTheyCallThemselves(t *testing.T) {
	for i, word := range lb.EventKinds {
		if k := kindOf(Shape{Events: word}); k.String() != word || int(k) != i {
			t.Errorf("%s is %v", word, k)
		}
	}
	if k := kindOf(Shape{}); k != loop.Auto {
		t.Errorf("no word is %v", k)
	}
}

package l7

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestTheStrictnessPageCountsTheTricks compares docs/l7-strictness.md with the
// tables that it sums up.
func TestTheStrictnessPageCountsTheTricks(t *testing.T) {
	type row struct{ passed, refused, unwhole int }
	var order []string
	rows, all := map[string]*row{}, row{}
	for _, k := range tricks() {
		r := rows[k.class]
		if r == nil {
			r = &row{}
			rows[k.class], order = r, append(order, k.class)
		}
		for _, r := range []*row{r, &all} {
			switch {
			case k.want.status != 0:
				r.refused++
			case k.want.waits:
				r.unwhole++
			default:
				r.passed++
			}
		}
	}
	var b strings.Builder
	line := func(name string, r row) {
		fmt.Fprintf(&b, "| %s | %d | %d | %d |\n", name, r.refused, r.passed, r.unwhole)
	}
	for _, class := range order {
		line(class, *rows[class])
	}
	line("all", all)
	fmt.Fprintf(&b, "\n%d answers of hostile backends", len(lies()))
	page, err := os.ReadFile("../docs/l7-strictness.md")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(page), b.String()) {
		t.Errorf("the page should have\n%s", &b)
	}
}

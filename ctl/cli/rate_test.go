package cli

import "testing"

func TestARateIsANumberOrAsScenariosWriteIt(t *testing.T) {
	for text, want := range map[string]float64{"5000": 5000, "0": 0, "5k/s": 5000, "600/m": 10, "1.5k/s": 1500} {
		var r rateValue
		if err := r.Set(text); err != nil || float64(r) != want {
			t.Errorf("rate %q is %v, %v; want %v", text, float64(r), err, want)
		}
	}
	for _, text := range []string{"-1", "fast", "5k", "NaN", "Inf", ""} {
		if err := new(rateValue).Set(text); err == nil {
			t.Errorf("rate %q is accepted", text)
		}
	}
}

package cli

import (
	"fmt"
	"math"
	"strconv"

	"lbctl/internal/scenario"
)

// rateValue is a flag's requests per second: a plain number, or as scenarios
// write rates.
type rateValue float64

// Set implements flag.Value.
func (r *rateValue) Set(text string) error {
	perSecond, err := strconv.ParseFloat(text, 64)
	if err != nil {
		if perSecond, err = scenario.ParseRate(text); err != nil {
			return err
		}
	}
	if !(perSecond >= 0) || math.IsInf(perSecond, 0) {
		return fmt.Errorf("rate %s: want 0 or more", text)
	}
	*r = rateValue(perSecond)
	return nil
}

// String implements flag.Value.
func (r *rateValue) String() string { return strconv.FormatFloat(float64(*r), 'g', -1, 64) }

package traffic

import (
	"encoding/json"
	"testing"
	"time"
)

func TestHistogramSurvivesItsText(t *testing.T) {
	var h Histogram
	for i := range 1000 {
		h.Record(time.Duration(i+1) * time.Millisecond)
	}
	h.Record(time.Hour) // counts at the edge
	data, err := json.Marshal(h)
	if err != nil {
		t.Fatal(err)
	}
	var back Histogram
	if err := json.Unmarshal(data, &back); err != nil {
		t.Fatal(err)
	}
	for _, q := range []float64{0.1, 0.5, 0.99, 1} {
		if h.Quantile(q) != back.Quantile(q) {
			t.Errorf("quantile %v: %v became %v", q, h.Quantile(q), back.Quantile(q))
		}
	}
	if p50 := back.Quantile(0.5); p50 < 500*time.Millisecond || p50 > 502*time.Millisecond {
		t.Errorf("median is %v", p50)
	}
	if back.Count() != 1001 || back.Max() < time.Minute || len(data) > 4000 {
		t.Errorf("count %d, max %v, %d bytes", back.Count(), back.Max(), len(data))
	}
	back.Merge(h)
	if back.Count() != 2002 {
		t.Errorf("merged count is %d", back.Count())
	}
}

func TestEmptyHistogramIsZero(t *testing.T) {
	var h, back Histogram
	data, err := json.Marshal(h)
	if err != nil || json.Unmarshal(data, &back) != nil || back.Count() != 0 || back.Quantile(0.5) != 0 || back.Max() != 0 {
		t.Errorf("%s, %v, %+v", data, err, back)
	}
	if json.Unmarshal([]byte(`"nonsense"`), &back) == nil {
		t.Error("nonsense was decoded")
	}
}

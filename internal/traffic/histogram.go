package traffic

import (
	"fmt"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// Histogram is an HDR histogram of latencies from 1 µs to 60 s, three
// significant digits. Its text form is the V2 compressed base64 that every HDR
// tool reads, in µs. The zero value is empty and ready to use.
type Histogram struct{ h *hdrhistogram.Histogram }

const histogramMax = int64(time.Minute / time.Microsecond)

// Record adds one latency. What lies outside the range counts at its edge.
func (h *Histogram) Record(d time.Duration) {
	h.need()
	us := min(max(int64((d+time.Microsecond/2)/time.Microsecond), 1), histogramMax)
	if err := h.h.RecordValue(us); err != nil {
		panic(fmt.Sprintf("record %d µs in a histogram of 1 to %d: %v", us, histogramMax, err)) // clamped above
	}
}

// Merge adds all that o holds.
func (h *Histogram) Merge(o Histogram) {
	if o.h != nil {
		h.need()
		h.h.Merge(o.h)
	}
}

func (h *Histogram) need() {
	if h.h == nil {
		h.h = hdrhistogram.New(1, histogramMax, 3)
	}
}

// Count returns how many latencies were recorded.
func (h Histogram) Count() int64 {
	if h.h == nil {
		return 0
	}
	return h.h.TotalCount()
}

// Quantile returns the latency that the fraction q (0 to 1) of requests did not exceed.
func (h Histogram) Quantile(q float64) time.Duration {
	if h.h == nil {
		return 0
	}
	return time.Duration(h.h.ValueAtQuantile(q*100)) * time.Microsecond
}

// Max returns the longest latency, to three digits.
func (h Histogram) Max() time.Duration {
	if h.h == nil {
		return 0
	}
	return time.Duration(h.h.Max()) * time.Microsecond
}

// Mean returns the mean latency.
func (h Histogram) Mean() time.Duration {
	if h.h == nil {
		return 0
	}
	return time.Duration(h.h.Mean() * float64(time.Microsecond))
}

// MarshalText implements encoding.TextMarshaler.
func (h Histogram) MarshalText() ([]byte, error) {
	if h.h == nil {
		return nil, nil
	}
	text, err := h.h.Encode(hdrhistogram.V2CompressedEncodingCookieBase)
	if err != nil {
		return nil, fmt.Errorf("encode histogram: %w", err)
	}
	return text, nil
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (h *Histogram) UnmarshalText(text []byte) error {
	h.h = nil
	if len(text) == 0 {
		return nil
	}
	d, err := hdrhistogram.Decode(text)
	if err != nil {
		return fmt.Errorf("decode histogram: %w", err)
	}
	h.need()
	if lost := h.h.Merge(d); lost > 0 { // into our own geometry, whatever the text's is
		return fmt.Errorf("decode histogram: %d values outside 1 µs to 60 s", lost)
	}
	return nil
}

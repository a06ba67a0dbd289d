package accesslog

import (
	"strconv"
	"time"

	"lbctl/internal/lb"
)

// format appends the line of a record, with its end. now is the end of the
// exchange.
type format interface {
	line(dst []byte, r *Record, now time.Time) []byte
}

// formatOf returns a format's writer, which one caller may use at a time.
func formatOf(f lb.LogFormat) format {
	switch f {
	case lb.LogCommon:
		return &commonFormat{stamp{layout: common}}
	case lb.LogTimings:
		return &timingsFormat{combinedFormat{stamp{layout: common}}}
	case lb.LogJSON:
		return &jsonFormat{stamp{layout: "2006-01-02T15:04:05"}, stamp{layout: "Z07:00"}}
	}
	return &combinedFormat{stamp{layout: common}}
}

// commonFormat is Apache's "%h %l %u %t \"%r\" %>s %b".
type commonFormat struct{ stamp stamp }

func (f *commonFormat) line(dst []byte, r *Record, now time.Time) []byte {
	dst = append(r.Client.Addr().AppendTo(dst), " - - "...)
	dst = f.stamp.append(dst, now.Add(-r.Whole)) // Apache's %t is when the request came
	dst = append(appendRequest(append(dst, ' ', '"'), r, apache), '"', ' ')
	dst = append(strconv.AppendInt(dst, int64(r.Status), 10), ' ')
	if r.BodyOut == 0 {
		return append(dst, '-', '\n')
	}
	return append(strconv.AppendUint(dst, r.BodyOut, 10), '\n')
}

// combinedFormat is nginx's log_format combined.
type combinedFormat struct{ stamp stamp }

func (f *combinedFormat) line(dst []byte, r *Record, now time.Time) []byte {
	return append(f.fields(dst, r, now), '\n')
}

func (f *combinedFormat) fields(dst []byte, r *Record, now time.Time) []byte {
	dst = append(r.Client.Addr().AppendTo(dst), " - - "...)
	dst = f.stamp.append(dst, now) // nginx's $time_local is when the line is made
	dst = append(appendRequest(append(dst, ' ', '"'), r, nginx), '"', ' ')
	dst = append(strconv.AppendInt(dst, int64(r.Status), 10), ' ')
	dst = append(strconv.AppendUint(dst, r.BodyOut, 10), ' ', '"')
	dst = append(orDash(dst, r.Referer, nginx), `" "`...)
	return append(orDash(dst, r.Agent, nginx), '"')
}

// timingsFormat adds who answered and what took how long to combined.
type timingsFormat struct{ combinedFormat }

func (f *timingsFormat) line(dst []byte, r *Record, now time.Time) []byte {
	dst = append(f.fields(dst, r, now), ` service="`...)
	dst = append(nginx.append(dst, bytesOf(r.Service)), `" backend="`...)
	dst = append(orDash(dst, bytesOf(r.Backend), nginx), `" address=`...)
	if r.Address.IsValid() {
		dst = r.Address.AppendTo(dst)
	} else {
		dst = append(dst, '-')
	}
	dst = strconv.AppendInt(append(dst, " attempts="...), int64(r.Attempts), 10)
	dst = append(append(dst, " why="...), r.Why.String()...)
	dst = append(append(dst, " end="...), r.End.String()...)
	for _, t := range r.times() {
		dst = append(append(append(dst, ' '), t.name...), '=')
		if t.took == None {
			dst = append(dst, '-')
		} else {
			dst = seconds(dst, t.took)
		}
	}
	return append(dst, '\n')
}

type timing struct {
	name string
	took time.Duration
}

func (r *Record) times() [4]timing {
	return [...]timing{{"queue", r.Queue}, {"connect", r.Connect}, {"head", r.Head}, {"whole", r.Whole}}
}

// appendRequest appends the request line.
func appendRequest(dst []byte, r *Record, escape style) []byte {
	if r.Method == nil {
		return orDash(dst, r.Line, escape)
	}
	dst = append(escape.append(dst, r.Method), ' ')
	return append(append(escape.append(dst, r.Target), " HTTP/1."...), '0'+r.Minor)
}

func orDash(dst, text []byte, escape style) []byte {
	if len(text) == 0 {
		return append(dst, '-')
	}
	return escape.append(dst, text)
}

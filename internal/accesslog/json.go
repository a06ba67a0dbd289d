package accesslog

import (
	"net/netip"
	"strconv"
	"time"
)

// jsonFormat is an object per line. What there was none of is left out; times are
// in seconds.
type jsonFormat struct{ second, zone stamp }

func (f *jsonFormat) line(dst []byte, r *Record, now time.Time) []byte {
	dst = f.time(append(dst, `{"time":"`...), now.Add(-r.Whole))
	dst = append(address(dst, `","client":`, r.Client), `,"client_reused":`...)
	dst = strconv.AppendBool(dst, r.ClientReused)
	if r.Method == nil {
		dst = text(dst, `,"line":`, r.Line)
	} else {
		dst = text(text(dst, `,"method":`, r.Method), `,"target":`, r.Target)
		dst = append(append(dst, `,"version":"1.`...), '0'+r.Minor, '"')
	}
	dst = text(text(text(dst, `,"host":`, r.Host), `,"referer":`, r.Referer), `,"agent":`, r.Agent)
	dst = number(dst, `,"status":`, uint64(r.Status))
	dst = append(append(append(dst, `,"end":"`...), r.End.String()...), '"')
	dst = text(dst, `,"reason":`, bytesOf(r.Reason))
	dst = backend(dst, r)
	dst = number(number(dst, `,"head_in":`, r.HeadIn), `,"body_in":`, r.BodyIn)
	dst = number(number(dst, `,"head_out":`, r.HeadOut), `,"body_out":`, r.BodyOut)
	for _, t := range r.times() {
		if t.took != None {
			dst = seconds(append(append(append(dst, `,"`...), t.name...), `":`...), t.took)
		}
	}
	return append(dst, '}', '\n')
}

// time is RFC 3339 with milliseconds.
func (f *jsonFormat) time(dst []byte, t time.Time) []byte {
	ms := t.Nanosecond() / 1e6
	dst = append(f.second.append(dst, t), '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
	return f.zone.append(dst, t)
}

func backend(dst []byte, r *Record) []byte {
	dst = text(dst, `,"service":`, bytesOf(r.Service))
	if r.Route > 0 {
		dst = number(dst, `,"route":`, uint64(r.Route))
	}
	if r.Backend == "" {
		return dst
	}
	dst = text(dst, `,"backend":`, bytesOf(r.Backend))
	dst = append(address(dst, `,"address":`, r.Address), `,"backend_reused":`...)
	dst = number(strconv.AppendBool(dst, r.BackendReused), `,"attempts":`, uint64(r.Attempts))
	return append(append(append(dst, `,"why":"`...), r.Why.String()...), '"')
}

func text(dst []byte, key string, value []byte) []byte {
	if len(value) == 0 {
		return dst
	}
	return quoted(append(dst, key...), value)
}

func number(dst []byte, key string, value uint64) []byte {
	return strconv.AppendUint(append(dst, key...), value, 10)
}

// address appends ip:port. A zone, which could be any text, is never part of what
// a socket says.
func address(dst []byte, key string, a netip.AddrPort) []byte {
	a = netip.AddrPortFrom(a.Addr().WithZone(""), a.Port())
	return append(a.AppendTo(append(append(dst, key...), '"')), '"')
}

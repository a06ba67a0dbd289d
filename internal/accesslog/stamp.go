package accesslog

import (
	"strconv"
	"time"
)

// stamp writes times. It makes the text of a second once, since many requests
// come in one.
type stamp struct {
	layout string
	second int64
	text   []byte
}

// common is the layout of Apache and nginx.
const common = "[02/Jan/2006:15:04:05 -0700]"

func (s *stamp) append(dst []byte, t time.Time) []byte {
	if second := t.Unix(); second != s.second || s.text == nil {
		s.second, s.text = second, t.AppendFormat(s.text[:0], s.layout)
	}
	return append(dst, s.text...)
}

// seconds appends a duration in seconds, to a microsecond.
func seconds(dst []byte, d time.Duration) []byte {
	us := max(d.Microseconds(), 0)
	dst = append(strconv.AppendInt(dst, us/1e6, 10), '.')
	us %= 1e6
	for unit := int64(1e5); unit > 0; unit /= 10 {
		dst = append(dst, byte('0'+us/unit%10))
	}
	return dst
}

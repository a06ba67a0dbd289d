package scenario

import (
	"strings"
	"time"

	"lbctl/internal/lb"
)

// httpOf says none as lb.HTTP says it: in a Service, 0 means the plane's default.
func httpOf(typed HTTPSpec) lb.HTTP {
	h := filled(typed)
	none := func(n int) int {
		if n == 0 {
			return -1
		}
		return n
	}
	limits, queue := filled(h.Limits), filled(h.Queue)
	return lb.HTTP{
		ClientHeadTimeout:  time.Duration(h.ClientHeadTimeout.Value),
		ClientIdleTimeout:  time.Duration(h.ClientIdleTimeout.Value),
		ClientBodyTimeout:  time.Duration(h.ClientBodyTimeout.Value),
		ConnectTimeout:     time.Duration(h.ConnectTimeout.Value),
		BackendHeadTimeout: time.Duration(h.BackendHeadTimeout.Value),
		BackendIdleTimeout: time.Duration(h.BackendIdleTimeout.Value),
		TunnelTimeout:      time.Duration(h.TunnelTimeout.Value),
		RequestTimeout:     time.Duration(h.RequestTimeout.Value),
		Retries:            none(int(h.Retries.Value)),
		IdleConns:          none(int(h.IdleConns.Value)),
		IdleConnTimeout:    time.Duration(h.IdleConnTimeout.Value),
		IdleConnMaxAge:     time.Duration(h.IdleConnMaxAge.Value),
		MaxBody:            int64(h.MaxBody.Value),
		BufferRequest:      int(h.BufferRequest.Value),
		ResponseBuffer:     max(int(h.ResponseBuffer.Value), 1), // 0 is the default
		Limits:             lb.Limits{Line: int(limits.Line.Value), Head: int(limits.Head.Value), Fields: int(limits.Fields.Value)},
		Queue:              lb.Queue{Length: none(int(queue.Length.Value)), Timeout: time.Duration(queue.Timeout.Value)},
		Forwarding:         h.Headers.forwarding(),
		Sticky:             h.Sticky.sticky(),
		SlowStart:          time.Duration(h.SlowStart.Value),
		Hash:               h.Hash.hash(),
		Outlier:            h.Outlier.outlier(),
		AccessLog:          typed.AccessLog.accessLog(),
		RetryBudget:        h.RetryBudget.budget(),
	}
}

func (typed ForwardingSpec) forwarding() lb.Forwarding {
	f := filled(typed)
	mode := func(word FieldWord, usual FieldWord) lb.FieldMode {
		if word == usual {
			return ""
		}
		return lb.FieldMode(word)
	}
	return lb.Forwarding{
		For: mode(f.For.Value, "append"), Proto: mode(f.Proto.Value, "replace"), Host: mode(f.Host.Value, "replace"),
		Forwarded: mode(f.Forwarded.Value, "off"),
		NoVia:     !bool(f.Via.Value), RequestID: bool(f.RequestID.Value), BackendHost: f.HostSent.Value == "backend",
	}
}

func (typed StickySpec) sticky() lb.Sticky {
	if !typed.Pos.IsSet() {
		return lb.Sticky{}
	}
	s := filled(typed)
	out := lb.Sticky{
		Cookie: string(s.Cookie.Value), Path: string(s.Path.Value), TTL: time.Duration(s.TTL.Value),
		Secure: bool(s.Secure.Value), HTTPOnly: bool(s.HTTPOnly.Value), Key: string(s.Key.Value),
	}
	if word := string(s.SameSite.Value); word != "unset" {
		out.SameSite = strings.ToUpper(word[:1]) + word[1:]
	}
	return out
}

func (typed HashSpec) hash() lb.HashKey {
	return lb.HashKey{Source: lb.HashSource(typed.By.Value), Name: string(typed.Name.Value), Bound: uint32(typed.Bound.Value)}
}

func (typed OutlierSpec) outlier() lb.Outlier {
	if !typed.Pos.IsSet() {
		return lb.Outlier{}
	}
	o := filled(typed)
	return lb.Outlier{
		Failures: uint32(o.Failures.Value), Rate: uint32(o.Rate.Value), Requests: uint32(o.Requests.Value), Window: time.Duration(o.Window.Value),
		Base: time.Duration(o.Base.Value), Max: time.Duration(o.Max.Value), MaxShare: uint32(o.MaxShare.Value),
	}
}

func (typed BudgetSpec) budget() lb.RetryBudget {
	if !typed.Pos.IsSet() {
		return lb.RetryBudget{}
	}
	b := filled(typed)
	return lb.RetryBudget{Percent: uint32(b.Percent.Value), PerSecond: uint32(b.PerSecond.Value)}
}

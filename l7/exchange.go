package l7

import (
	"net/http"

	"lbctl/internal/balance"
	"lbctl/internal/lb"
)

// ServeHTTP answers one request that came to a VIP, by the table that is in
// force now.
func (f *frontend) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s := f.proxy.table.Load().byVIP[f.vip]
	if s == nil { // the service went away while the request was being read
		w.Header().Set("Connection", "close")
		(&failure{status: http.StatusServiceUnavailable, reason: "no service at this address"}).write(w)
		return
	}
	s.counters.begin()
	defer s.counters.end()
	if !r.ProtoAtLeast(1, 1) {
		// RFC 9112, 9.3, and 6.1: net/http believes no Transfer-Encoding here, so
		// there may be a body where it would read the next request.
		w.Header().Set("Connection", "close")
	}
	if r.Method == http.MethodConnect {
		(&failure{status: http.StatusNotImplemented, reason: "CONNECT is not supported"}).write(w)
		return
	}
	if r.ContentLength != 0 {
		// A backend may answer before it has read the body; net/http would otherwise
		// drain the rest of it from under the backend. HTTP/1 connections support this.
		_ = http.NewResponseController(w).EnableFullDuplex()
	}
	client := clientOf(r.Context())
	out := outgoing(r, client, f.vip)
	resp, m, fail := s.send(f, out, client.key)
	if fail != nil {
		s.answer(w, m, fail)
		return
	}
	defer m.pool.end()
	defer resp.Body.Close()
	if err := relay(w, resp); err != nil {
		if r.Context().Err() == nil {
			s.counters.errors.Add(1)
			m.counters.errors.Add(1)
		}
		panic(http.ErrAbortHandler) // cuts the client off: it must not take half an answer for a whole one
	}
}

// send has the request answered by the backend that the policy picks, or by
// another one as long as the failure permits a retry. On success the caller owes
// the member's pool an end. The member is nil if none was tried.
func (s *service) send(f *frontend, out *http.Request, key balance.Key) (*http.Response, *member, *failure) {
	var space [maxRetries + 1]lb.BackendID
	tried := space[:0]
	m := s.choose(key, nil)
	if m == nil {
		return nil, nil, &failure{status: http.StatusServiceUnavailable, reason: "no backend of service " + s.Name + " is eligible"}
	}
	for {
		m.pool.begin()
		resp, err := m.pool.transport.RoundTrip(out)
		if err == nil && resp.StatusCode >= 200 { // final: net/http drops 1xx, save 101 and what is no status
			return resp, m, nil
		}
		fail := m.judge(out, resp, err)
		m.pool.end()
		tried = append(tried, m.ID)
		if !fail.retry || len(tried) > s.HTTP.Retries {
			return nil, m, fail
		}
		// A retry goes by the table of its own time: what failed this backend may
		// have been a snapshot that took others away, too.
		if now := f.proxy.table.Load().byVIP[f.vip]; now != nil && now.counters == s.counters {
			s = now
		}
		next := s.choose(key, tried)
		if next == nil {
			return nil, m, fail
		}
		s.counters.retries.Add(1)
		m.counters.retries.Add(1)
		m = next
	}
}

// choose picks a member that was not tried.
func (s *service) choose(key balance.Key, tried []lb.BackendID) *member {
	id, ok := s.picker.Pick(key, tried)
	if !ok {
		return nil
	}
	m := s.byID[id]
	m.counters.active.Add(-1) // the pool's begin counts the request, too
	return m
}

// answer makes up the answer to a request that no backend answered.
func (s *service) answer(w http.ResponseWriter, m *member, fail *failure) {
	if fail.gone {
		panic(http.ErrAbortHandler) // nobody listens
	}
	if fail.status >= 500 {
		s.counters.errors.Add(1)
		if m != nil {
			m.counters.errors.Add(1)
		}
	}
	fail.write(w)
}

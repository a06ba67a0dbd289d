package l7

import (
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"lbctl/internal/lb"
)

func TestOneAddressHasSeveralServices(t *testing.T) {
	l := newLab(t)
	echo := func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, r.Host+" "+r.RequestURI) }
	l.backend(echo)
	l.backend(echo)
	l.service("web", lb.RoundRobin)
	l.service("api", lb.RoundRobin)
	web, api := &l.config.Services[0], &l.config.Services[1]
	web.Backends, api.Backends = web.Backends[:1], api.Backends[1:]
	api.VIP = lb.VIP{}
	web.Routes = []lb.Route{
		{Hosts: []string{"*.old.example"}, Redirect: lb.Redirect{Status: 301, To: "https://new.example{path}{query}"}},
		{Path: lb.PathMatch{Kind: lb.PathPrefix, Value: "/api"}, Service: "api", Rewrite: lb.Rewrite{Prefix: "/v1"}},
	}
	l.apply()
	for request, want := range map[string]string{
		"/x h": "s1 h /x", "/api/x?q h": "s2 h /v1/x?q", "/y/%2e%2e/api h": "s2 h /v1", "/a?b www.OLD.example": "https://new.example/a?b",
	} {
		target, host, _ := strings.Cut(request, " ")
		resp := l.raw(web, "GET "+target+" HTTP/1.1\r\nHost: "+host+"\r\n\r\n")
		body, _ := io.ReadAll(io.LimitReader(resp.Body, max(resp.ContentLength, 0)))
		got := resp.Header.Get("Location")
		if got == "" {
			got = resp.Header.Get("X-Server") + " " + string(body)
		}
		if got != want {
			t.Errorf("%s: %q, want %q", request, got, want)
		}
	}
	if c, backends := l.counters(api); c.Requests != 2 || backends[0].Requests != 2 || c.Connections != 0 {
		t.Errorf("api: %+v, %+v", c, backends)
	}
	web.Routes[1].Service = "" // a change of routes alone
	l.apply()
	if resp := l.raw(web, "GET /api HTTP/1.1\r\nHost: h\r\n\r\n"); resp.Header.Get("X-Server") != "s1" {
		t.Errorf("after the change: %v", resp.Header)
	}
}

func TestClientsStickAlsoAfterAReload(t *testing.T) {
	l := newLab(t)
	for range 3 {
		l.backend(nil)
	}
	s := l.service("web", lb.RoundRobin)
	s.HTTP.Sticky = lb.Sticky{Cookie: "LB", Key: strings.Repeat("k", 32)}
	l.apply()
	ask := func(cookie string) (server, set string) {
		resp := l.raw(s, "GET / HTTP/1.1\r\nHost: h\r\nCookie: "+cookie+"\r\n\r\n")
		set, _, _ = strings.Cut(resp.Header.Get("Set-Cookie"), ";")
		return resp.Header.Get("X-Server"), set
	}
	server, cookie := ask("a=b")
	for i := range 6 {
		if i == 3 {
			s.Backends[0].Weight, s.Backends[1].Weight, s.Backends[2].Weight = 0, 0, 0 // each keeps its clients
			l.apply()
		}
		if again, set := ask("a=b; " + cookie); again != server || set != "" {
			t.Errorf("%s, then %s, cookie %q", server, again, set)
		}
	}
}

func TestRequestsBeyondMaxConnWaitTheirTurn(t *testing.T) {
	l := newLab(t)
	var mu sync.Mutex
	inFlight, most := 0, 0
	l.backend(func(http.ResponseWriter, *http.Request) {
		mu.Lock()
		inFlight++
		most = max(most, inFlight)
		mu.Unlock()
		time.Sleep(10 * time.Millisecond)
		mu.Lock()
		inFlight--
		mu.Unlock()
	})
	s := l.service("web", lb.RoundRobin)
	s.Backends[0].MaxConn = 2
	s.HTTP.Queue = lb.Queue{Length: 30, Timeout: 5 * time.Second}
	l.apply()
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			resp, err := l.client.Get("http://" + s.VIP.Addr.String() + "/")
			if err != nil {
				t.Error(err)
				return
			}
			resp.Body.Close()
			if resp.StatusCode != 200 {
				t.Errorf("status %d", resp.StatusCode)
			}
		})
	}
	all.Wait()
	if most != 2 {
		t.Errorf("%d requests at a time, want 2", most)
	}
}

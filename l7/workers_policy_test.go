package l7

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"math"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"lbctl/internal/balance"
	"lbctl/internal/lb"
)

// pair is a service that two worker processes forward for, with a client for each
// of their threads: a thread of model worker serves its one client and nobody else.
type pair struct {
	*lab
	plane   *Plane
	service *lb.Service
	clients []*caller // as many of either process
}

// caller is a client's connection.
type caller struct {
	net.Conn
	in *bufio.Reader
}

func newPair(t *testing.T, threads, servers int, handler http.HandlerFunc) *pair {
	if os.Getenv(modelVariable) != "" || os.Getenv(kindVariable) != "" {
		t.Skip("this is about a model of its own")
	}
	p := &pair{lab: newLab(t)}
	for range servers {
		p.backend(handler)
	}
	o := planeOptions(t)
	o.Shape = Shape{Model: Threads, Threads: threads, Start: 2, Processes: 2, MinSpare: 1, MaxSpare: 2 * threads}
	p.plane = openPlane(t, o)
	t.Cleanup(func() { endProxy(t, p.plane) })
	s := p.lab.service("web", lb.RoundRobin)
	s.HTTP.ClientIdleTimeout = time.Minute
	p.applyTo(p.plane)
	p.service = s
	for range 2 * threads {
		c := &caller{rawDial(t, s.VIP.Addr), nil}
		c.in = bufio.NewReader(c)
		_ = c.SetDeadline(time.Now().Add(time.Minute))
		if _, err := c.ask("/", ""); err != nil { // holds its thread from now on
			t.Fatal(err)
		}
		p.clients = append(p.clients, c)
	}
	return p
}

// ask makes a request with such fields and returns the answer.
func (c *caller) ask(path, fields string) (*http.Response, error) {
	if _, err := fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: x\r\n%s\r\n", path, fields); err != nil {
		return nil, err
	}
	return c.answer()
}

func (c *caller) answer() (*http.Response, error) {
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return nil, err
	}
	if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != 200 {
		return nil, fmt.Errorf("status %d, %v", resp.StatusCode, err)
	}
	return resp, nil
}

// ahead is how many requests a client sends ahead of their answers.
const ahead = 10

// asks makes requests, each of a path that nobody else asks for, and counts the servers.
func (c *caller) asks(name string, servers map[string]int) error {
	var batch []byte
	for i := range ahead {
		batch = fmt.Appendf(batch, "GET /%s/%d HTTP/1.1\r\nHost: x\r\n\r\n", name, i)
	}
	if _, err := c.Write(batch); err != nil {
		return err
	}
	for range ahead {
		resp, err := c.answer()
		if err != nil {
			return err
		}
		servers[resp.Header.Get("X-Server")]++
	}
	return nil
}

// atOnce has all clients make requests at the same time, n in all.
func (p *pair) atOnce(n int) (percent []float64) {
	p.Helper()
	total := map[string]int{}
	var mu sync.Mutex
	var all sync.WaitGroup
	for k, c := range p.clients {
		all.Go(func() {
			got := map[string]int{}
			for i := range n / ahead / len(p.clients) {
				if err := c.asks(fmt.Sprint(k, "/", i), got); err != nil {
					p.Error(err)
					return
				}
			}
			mu.Lock()
			defer mu.Unlock()
			for name, n := range got {
				total[name] += n
			}
		})
	}
	all.Wait()
	return p.percent(total)
}

// inTurn has one client after the other make some, n in all: there is one request at a
// time, save that a worker may still be counting its last one as in flight.
func (p *pair) inTurn(n int) (percent []float64) {
	p.Helper()
	got := map[string]int{}
	for i := range n / ahead {
		if err := p.clients[i%len(p.clients)].asks(fmt.Sprint(i), got); err != nil {
			p.Fatal(err)
		}
	}
	return p.percent(got)
}

// percent are the servers' shares.
func (p *pair) percent(got map[string]int) (percent []float64) {
	sum := 0
	for _, n := range got {
		sum += n
	}
	for _, b := range p.service.Backends {
		percent = append(percent, 100*float64(got[b.Name])/float64(sum))
	}
	return percent
}

func wantPercent(t *testing.T, what string, got []float64, within float64, want ...float64) {
	t.Helper()
	for i := range want {
		if math.Abs(got[i]-want[i]) > within {
			t.Errorf("%s: %.1f %% of the requests, want %.1f ± %.1f", what, got, want, within)
			return
		}
	}
}

// spreading are the policies that spread requests of any clients. Those that draw do so
// within more than four standard deviations. Where shares depend on what is in flight a
// worker that a busy machine holds up changes them, so there only one is at work at a time.
var spreading = []struct {
	policy                 lb.Policy
	even, slowly, inFlight bool // ignores weights; starts slowly; looks at what is in flight
	equals                 int  // requests
	within                 float64
	weighted               int
}{
	{lb.RoundRobin, true, true, false, 1000, 0.01, 500},
	{lb.WeightedRoundRobin, false, true, false, 1000, 0.01, 500},
	{lb.LeastConn, true, true, true, 1000, 2, 500},
	{lb.WeightedLeastConn, false, true, true, 1000, 2, 500},
	{lb.PowerOfTwo, false, true, true, 8000, 2, 3000},
	{lb.Random, false, true, false, 8000, 2, 3000},
	{lb.KeyHash, false, false, false, 4000, 2, 3000},
}

func TestTwoWorkersShareAsOne(t *testing.T) {
	p := newPair(t, 1, 5, nil)
	s := p.service
	s.HTTP.Hash.Source = lb.HashPath
	last := &s.Backends[4]
	for _, c := range spreading {
		s.Policy, s.HTTP.SlowStart = c.policy, 0
		p.weigh(1, 1, 1, 1, 1)
		ask := p.atOnce
		if c.inFlight {
			ask = p.inTurn
		}
		wantPercent(t, string(c.policy), ask(c.equals), c.within, 20, 20, 20, 20, 20)

		last.Health = lb.Down
		p.applyTo(p.plane)
		s.HTTP.SlowStart = time.Minute
		last.Health = lb.Up
		p.applyTo(p.plane)
		fresh := string(c.policy) + " when the last one has just come up"
		if c.slowly { // a tenth of what the others get would be 2.4
			wantPercent(t, fresh, p.inTurn(1000)[4:], 3, 3)
		} else {
			wantPercent(t, fresh, ask(c.equals)[4:], 3, 20)
		}
		s.HTTP.SlowStart = time.Millisecond // which has passed
		s.Backends[1].Health = lb.Down
		p.weigh(4, 9, 2, 1, 3)
		all := []float64{40, 0, 20, 10, 30}
		if c.even {
			all = []float64{25, 0, 25, 25, 25}
		}
		wantPercent(t, string(c.policy)+" without the second", p.inTurn(c.weighted), 4, all...)
		s.Backends[1].Health = lb.Up
	}
}

func (p *pair) weigh(weights ...uint32) {
	p.Helper()
	for i, w := range weights {
		p.service.Backends[i].Weight = w
	}
	p.applyTo(p.plane)
}

// ewma gives who was slow once less for a while, and on a busy machine somebody is: so it is
// all rounds together that must be fair, as many as it takes (see balance's noise_test.go).
func TestTwoWorkersSeeLatenciesAsOne(t *testing.T) {
	var slow atomic.Bool // the first server
	p := newPair(t, 16, 5, func(w http.ResponseWriter, _ *http.Request) {
		if time.Sleep(50 * time.Millisecond); slow.Load() && w.Header().Get("X-Server") == "s1" {
			time.Sleep(200 * time.Millisecond)
		}
	})
	s := p.service
	s.Policy = lb.PeakEWMA
	p.applyTo(p.plane)
	const least, most = 3, 25 // rounds
	sum, mean := make([]float64, 5), make([]float64, 5)
	for rounds := 1; rounds <= least || slices.Max(mean) >= 22 || slices.Min(mean) <= 18; rounds++ {
		if rounds > most {
			t.Fatalf("not each of five equals gets its fifth of all requests, but %.1f %%", mean)
		}
		got := p.atOnce(960)
		for i := range sum {
			sum[i] += got[i]
			mean[i] = sum[i] / float64(rounds)
		}
		t.Logf("round %d: %.1f %%, of all until now %.1f %%", rounds, got, mean)
	}
	slow.Store(true)
	p.atOnce(500) // they have seen it
	if got := p.atOnce(1000); got[0] > 10 || got[0] == 0 {
		t.Errorf("the first one, who takes five times as long, has %.1f %% of the requests", got)
	}
	s.Backends[0].Health, s.Backends[4].Health = lb.Down, lb.Down
	p.applyTo(p.plane)
	if got := p.atOnce(500); got[0]+got[4] != 0 || slices.Min(got[1:4]) < 15 {
		t.Errorf("without the first and the last: %.1f %%", got)
	}
	s.Backends[4].Health, s.HTTP.SlowStart = lb.Up, time.Minute
	p.applyTo(p.plane)
	if got := p.atOnce(1000); got[4] > 10 {
		t.Errorf("the last one, which has just come up, has %.1f %% of the requests", got)
	}
}

// served asks for each key by both workers, and returns who served it: the same one, and
// the one that the pure policy chooses.
func (p *pair) served(keys []string, ask func(c *caller, key string) (*http.Response, error)) map[string]string {
	p.Helper()
	model, err := balance.New(*p.service, balance.State{})
	if err != nil {
		p.Fatal(err)
	}
	servers := map[string]string{}
	for _, key := range keys {
		id, _ := model.Pick(balance.Key{Hash: balance.HashBytes(key)}, nil)
		want := p.service.Backends[id-1].Name
		servers[key] = want
		for worker, c := range p.clients {
			resp, err := ask(c, key)
			if err != nil {
				p.Fatal(err)
			}
			if got := resp.Header.Get("X-Server"); got != want {
				p.Errorf("key %s by worker %d: served by %s, want %s", key, worker, got, want)
			}
		}
	}
	return servers
}

func TestTwoWorkersKeepEachKeyAtItsBackend(t *testing.T) {
	p := newPair(t, 1, 5, nil)
	s := p.service
	s.Policy, s.HTTP.SlowStart = lb.KeyHash, time.Minute // which does not concern it
	var keys []string
	for i := range 300 {
		keys = append(keys, fmt.Sprint("/", i))
	}
	for _, c := range []struct {
		hash lb.HashKey
		ask  func(c *caller, key string) (*http.Response, error)
	}{
		{lb.HashKey{Source: lb.HashHeader, Name: "X-User"}, func(c *caller, key string) (*http.Response, error) {
			return c.ask("/any", "x-user: "+key+"\r\nX-User: another\r\n")
		}},
		{lb.HashKey{Source: lb.HashCookie, Name: "user"}, func(c *caller, key string) (*http.Response, error) {
			return c.ask("/any", "Cookie: a=b; user="+key+"; c=d\r\n")
		}},
		{lb.HashKey{Source: lb.HashPath}, func(c *caller, key string) (*http.Response, error) { return c.ask(key+"?any", "") }},
		{lb.HashKey{Source: lb.HashQuery, Name: "user"}, func(c *caller, key string) (*http.Response, error) { return c.ask("/any?a=b&user="+key, "") }},
	} {
		s.HTTP.Hash = c.hash
		p.applyTo(p.plane)
		before := p.served(keys, c.ask)
		if c.hash.Source != lb.HashHeader {
			continue // the others differ in what they look at only
		}
		s.Backends[1].Health = lb.Down
		p.applyTo(p.plane)
		moved, others := 0, 0 // others, too, do under Maglev: where to is the model's, which served has compared with
		for key, server := range p.served(keys, c.ask) {
			switch {
			case server == before[key] && server == "s2":
				t.Errorf("key %s stayed at s2, which was down", key)
			case server != before[key] && before[key] != "s2":
				others++
			case server != before[key]:
				moved++
			}
		}
		if moved < len(keys)/20 || moved > len(keys)*2/5 || others*50 >= len(keys) {
			t.Errorf("%d keys of %d moved from the one of five that was down, and %d from others, want fewer than 2 %%", moved, len(keys), others)
		}
		s.Backends[1].Health = lb.Up
		p.applyTo(p.plane)
		if after := p.served(keys, c.ask); !maps.Equal(after, before) {
			t.Errorf("when s2 was up again: %v, before %v", after, before)
		}
	}
}

// from has one worker's client leave, another one come from such an address, whom that worker
// must take, for all others are busy, and asks who serves it.
func (p *pair) from(worker int, source string) (server string) {
	p.Helper()
	p.clients[worker].Close()
	from, err := net.ResolveTCPAddr("tcp", source)
	if err != nil {
		p.Fatal(err)
	}
	d := net.Dialer{LocalAddr: from, Deadline: time.Now().Add(time.Minute)}
	conn, err := d.DialContext(p.Context(), "tcp", p.service.VIP.Addr.String())
	if err != nil {
		p.Fatal(err)
	}
	_ = conn.(*net.TCPConn).SetLinger(0) // so that address and port are free at once when it leaves
	c := &caller{conn, bufio.NewReader(conn)}
	_ = c.SetDeadline(time.Now().Add(time.Minute))
	p.Cleanup(func() { c.Close() })
	p.clients[worker] = c
	resp, err := c.ask("/", "")
	if err != nil {
		p.Fatal(err)
	}
	return resp.Header.Get("X-Server")
}

// sh takes a client by its address, mh by address and port.
func TestTwoWorkersKeepEachClientAtItsBackend(t *testing.T) {
	const clients, servers = 100, 5
	p := newPair(t, 1, servers, nil)
	s := p.service
	s.HTTP.SlowStart = time.Minute // which does not concern it
	// served is who serves each client by either worker, which must be whom the model has.
	served := func(policy lb.Policy) (by map[string]string) {
		t.Helper()
		model, err := balance.New(*s, balance.State{})
		if err != nil {
			t.Fatal(err)
		}
		by = map[string]string{}
		for worker := range p.clients {
			for i := range clients {
				client := netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 1, byte(i + 1)}), uint16(20_000+i))
				id, _ := model.Pick(balance.Key{Src: client.Addr(), SrcPort: client.Port()}, nil)
				want := s.Backends[id-1].Name
				by[client.String()] = want
				if got := p.from(worker, client.String()); got != want {
					t.Errorf("%s: client %s by worker %d: served by %s, want %s", policy, client, worker, got, want)
				}
			}
			p.from(worker, "127.0.0.1:0") // the last one's address is free for the other worker
		}
		return by
	}
	for _, policy := range []lb.Policy{lb.SourceHash, lb.Maglev} {
		s.Policy = policy
		p.applyTo(p.plane)
		before := served(policy)
		shares := map[string]int{}
		for _, server := range before {
			shares[server]++
		}
		for _, b := range s.Backends { // 20, and four standard deviations
			if n := shares[b.Name]; n < 4 || n > 36 {
				t.Errorf("%s: %s has %d of %d clients, want a fifth or so", policy, b.Name, n, clients)
			}
		}
		s.Backends[1].Health = lb.Down
		p.applyTo(p.plane)
		others := 0
		for client, server := range served(policy) {
			switch {
			case server == "s2":
				t.Errorf("%s: client %s is at s2, which is down", policy, client)
			case server != before[client] && before[client] != "s2":
				others++
			}
		}
		// sh leaves all others where they are; Maglev moves a few.
		if others > 0 && policy == lb.SourceHash || others > clients/20 {
			t.Errorf("%s: %d clients of other servers have moved, too", policy, others)
		}
		s.Backends[1].Health = lb.Up
		p.applyTo(p.plane)
		if after := served(policy); !maps.Equal(after, before) {
			t.Errorf("%s: when s2 was up again: %v, before %v", policy, after, before)
		}
	}
}

func TestTwoWorkersKnowWhatTheOtherHasInFlight(t *testing.T) {
	arrived, release := make(chan string), make(chan struct{})
	p := newPair(t, 1, 3, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/hold" {
			arrived <- w.Header().Get("X-Server")
			<-release
		}
	})
	s := p.service
	// besides is who serves a request of one worker while who serves one of the other.
	besides := func() (held, other string) {
		t.Helper()
		answered := make(chan error)
		go func() {
			_, err := p.clients[0].ask("/hold", "X-Key: same\r\n")
			answered <- err
		}()
		held = <-arrived
		resp, err := p.clients[1].ask("/", "X-Key: same\r\n")
		if err != nil {
			t.Fatal(err)
		}
		release <- struct{}{}
		if err := <-answered; err != nil {
			t.Fatal(err)
		}
		return held, resp.Header.Get("X-Server")
	}
	s.Policy = lb.First
	p.applyTo(p.plane)
	if held, other := besides(); held != "s1" || other != "s1" {
		t.Errorf("first: %s and %s", held, other)
	}
	s.Backends[0].MaxConn = 1
	p.applyTo(p.plane)
	if held, other := besides(); held != "s1" || other != "s2" {
		t.Errorf("first with room for one at s1: %s and %s", held, other)
	}
	s.Backends[0].Health = lb.Down
	p.applyTo(p.plane)
	if held, other := besides(); held != "s2" || other != "s2" {
		t.Errorf("first with s1 down: %s and %s", held, other)
	}
	s.Backends[0].Health, s.Backends[0].MaxConn = lb.Up, 0
	s.Policy, s.HTTP.Hash = lb.KeyHash, lb.HashKey{Source: lb.HashHeader, Name: "X-Key"}
	p.applyTo(p.plane)
	home, other := besides()
	if home != other {
		t.Errorf("hash: the key is at %s and %s", home, other)
	}
	s.HTTP.Hash.Bound = 100
	p.applyTo(p.plane)
	if held, other := besides(); held != home || other == home {
		t.Errorf("hash with a bound of one at each: %s and %s, at home at %s", held, other, home)
	}
	for _, policy := range []lb.Policy{lb.LeastConn, lb.WeightedLeastConn} {
		s.Policy = policy
		p.applyTo(p.plane)
		for range 6 {
			if held, other := besides(); held == other {
				t.Errorf("%s: both at %s", policy, held)
			}
		}
	}
	s.Policy, s.Backends[2].Health = lb.PowerOfTwo, lb.Down // of two the choice is sure
	p.applyTo(p.plane)
	for range 6 {
		if held, other := besides(); held == other {
			t.Errorf("p2c: both at %s", held)
		}
	}
}

func TestTwoWorkersTakeEachOthersCookies(t *testing.T) {
	p := newPair(t, 1, 5, nil)
	s := p.service
	s.Policy = lb.Random
	s.HTTP.Sticky = lb.Sticky{Cookie: "lb", Key: "0123456789abcdef"}
	p.applyTo(p.plane)
	ask := func(client int, cookie string) (server, set string) {
		t.Helper()
		resp, err := p.clients[client].ask("/", "Cookie: "+cookie+"\r\n")
		if err != nil {
			t.Fatal(err)
		}
		set, _, _ = strings.Cut(resp.Header.Get("Set-Cookie"), ";")
		return resp.Header.Get("X-Server"), set
	}
	server, cookie := ask(0, "a=b")
	for i := range 20 {
		if again, set := ask(i%2, cookie); again != server || set != "" {
			t.Fatalf("%s, then %s, which set %q", server, again, set)
		}
	}
	for i := range s.Backends {
		if s.Backends[i].Name == server {
			s.Backends[i].Health = lb.Down
		}
	}
	p.applyTo(p.plane)
	moved, next := ask(0, cookie)
	if again, set := ask(1, next); moved == server || again != moved || set != "" {
		t.Errorf("from %s, which is down, to %s, then %s", server, moved, again)
	}
}

func TestNoTwoWorkersDrawTheSame(t *testing.T) {
	p := newPair(t, 1, 1, func(w http.ResponseWriter, r *http.Request) { w.Header().Set("X-ID", r.Header.Get("X-Request-ID")) })
	p.service.HTTP.Forwarding.RequestID = true
	p.applyTo(p.plane)
	seen := map[string]bool{}
	for i := range 10 {
		resp, err := p.clients[i%2].ask("/", "")
		if err != nil {
			t.Fatal(err)
		}
		id := resp.Header.Get("X-ID")
		if len(id) != 32 || seen[id] {
			t.Errorf("request %d has the ID %q, as another", i, id)
		}
		seen[id] = true
	}
}

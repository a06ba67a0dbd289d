package ctl

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"lbctl/internal/lb"
)

func newTestAPI(t *testing.T) (*fixture, http.Handler) {
	t.Helper()
	f := newFixture(t, nil)
	f.configure(t, testConfig(3))
	f.settle(t)
	return f, newAPI(f.Controller, func() {})
}

func ask(h http.Handler, method, path, body string, header ...string) *http.Response {
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func TestAPIAnswers(t *testing.T) {
	_, h := newTestAPI(t)
	config, err := json.Marshal(testConfig(3))
	if err != nil {
		t.Fatal(err)
	}
	spoilt := strings.Replace(string(config), `"mh"`, `"best"`, 1)
	const s1 = "/v1/services/web-l4/backends/s1"
	for _, tt := range []struct {
		name, method, path, body string
		status                   int
		want                     string // part of the answer
	}{
		{"the list of routes", "GET", "/v1", "", 200, `{"method":"PATCH","path":"/v1/services/{service}/backends/{backend}"`},
		{"the version", "GET", "/v1/version", "", 200, `"api":"v1"`},
		{"the status", "GET", "/v1/status", "", 200, `"name":"l4","state":"applied"`},
		{"the status's backends", "GET", "/v1/status", "", 200, `"health":"up","admin":"enabled","scenario_weight":1`},
		{"the services", "GET", "/v1/services", "", 200, `[{"name":"web-l4"`},
		{"the counters", "GET", "/v1/stats", "", 200, `{"plane":"l7","revision":`},
		{"the workers of planes that have none", "GET", "/v1/workers", "", 200, `[]`},
		{"the configuration", "GET", "/v1/config", "", 200, `"policy":"mh"`},
		{"the same configuration", "PUT", "/v1/config", string(config), 200, `"changes":[]`},
		{"events", "GET", "/v1/events?follow=false", "", 200, `"kind":"transition"`},
		{"a backend drained", "PATCH", s1, `{"admin":"draining"}`, 200, `{"revision":`},
		{"a backend weighed", "PATCH", s1, `{"weight":0}`, 200, `{"revision":`},
		{"the timeouts", "GET", "/v1/timeouts", "", 200, `{"tcp":900000000000,"fin":120000000000,"udp":300000000000}`},
		{"a timeout set", "PATCH", "/v1/timeouts", `{"udp":1000000000}`, 200, `{"revision":`},
		{"a timeout too long", "PATCH", "/v1/timeouts", `{"udp":8640000000000000}`, 422, `timeout 2400h0m0s: want at most 576h0m0s`},
		{"flows of a plane that can list none", "GET", "/v1/flows", "", 200, `{"end":{"listed":0}}`},
		{"a wait for what is so", "POST", "/v1/wait", `{"healthy":true,"revision":1}`, 200, `"revision":`},
		{"a wait in vain", "POST", "/v1/wait", `{"revision":999,"timeout":1000000}`, 504, `waited 1ms in vain: the newest revision is `},
		{"a shutdown", "POST", "/v1/shutdown", "", 202, ""},

		{"an unknown path", "GET", "/v1/stauts", "", 404, `"did_you_mean":["/v1/stats","/v1/status"]`},
		{"a wrong method", "DELETE", "/v1/config", "", 405, `/v1/config does not take DELETE`},
		{"an unknown service", "PATCH", "/v1/services/web-l5/backends/s1", `{"weight":1}`, 404, `there is no service \"web-l5\"; did you mean web-l4 or web-l7?`},
		{"an unknown backend", "PATCH", "/v1/services/web-l4/backends/x", `{"weight":1}`, 404, `there is no backend \"x\" in service web-l4; there are s1, s2, s3`},
		{"a name with a slash", "PATCH", "/v1/services/web-l4/backends/a%2Fb", `{"weight":1}`, 404, `there is no backend \"a/b\"`},
		{"a weight too large", "PATCH", s1, `{"weight":2147483648}`, 422, `weight 2147483648: want 0 to 2147483647`},
		{"a weight below zero", "PATCH", s1, `{"weight":-1}`, 400, `decode body: `},
		{"an admin state that is none", "PATCH", s1, `{"admin":"off"}`, 400, `want one of enabled, draining, disabled`},
		{"a patch of nothing", "PATCH", s1, `{}`, 422, `nothing to change`},
		{"an unknown field", "PATCH", s1, `{"wieght":1}`, 400, `unknown field \"wieght\"`},
		{"two values", "PATCH", s1, `{"weight":1}{}`, 400, `more follows`},
		{"no body", "PATCH", s1, ``, 400, `the body is empty`},
		{"a body too large", "PUT", "/v1/config", `"` + strings.Repeat("x", bodyLimit) + `"`, 413, `larger than`},
		{"a bad configuration", "PUT", "/v1/config", spoilt, 422, `"errors":["service \"web-l4\": policy \"best\" is unknown"]`},
		{"a bad since", "GET", "/v1/events?since=x", "", 400, `since=x`},
		{"a bad follow", "GET", "/v1/events?follow=x", "", 400, `follow=x`},
	} {
		t.Run(tt.name, func(t *testing.T) {
			resp := ask(h, tt.method, tt.path, tt.body)
			body, _ := io.ReadAll(resp.Body)
			if resp.StatusCode != tt.status || !strings.Contains(string(body), tt.want) {
				t.Errorf("%s %s: %d %s\nwant %d with %s", tt.method, tt.path, resp.StatusCode, body, tt.status, tt.want)
			}
			if resp.StatusCode >= 400 {
				var p Problem
				if err := json.Unmarshal(body, &p); err != nil || p.Status != tt.status || p.Title == "" || resp.Header.Get("Content-Type") != "application/problem+json" {
					t.Errorf("the error is no problem+json: %s, %v", body, err)
				}
			}
		})
	}
}

func TestAWrongMethodIsToldTheRightOnes(t *testing.T) {
	_, h := newTestAPI(t)
	if got := ask(h, "POST", "/v1/config", "").Header.Values("Allow"); strings.Join(got, " ") != "GET PUT" {
		t.Errorf("Allow: %v", got)
	}
}

func TestConfigurationsDoNotOverwriteEachOtherUnseen(t *testing.T) {
	f, h := newTestAPI(t)
	tag := ask(h, "GET", "/v1/config", "").Header.Get("ETag")
	put := func(weight uint32, tag string) int {
		config := testConfig(3)
		config.Services[0].Backends[0].Weight = weight
		body, _ := json.Marshal(config)
		return ask(h, "PUT", "/v1/config", string(body), "If-Match", tag).StatusCode
	}
	// What is not configuration does not count against the tag.
	if _, err := f.SetBackend(t.Context(), "web-l4", "s2", BackendPatch{Admin: ptr(lb.Disabled)}); err != nil {
		t.Fatal(err)
	}
	if got := put(2, tag); got != 200 {
		t.Errorf("with the current tag: %d", got)
	}
	if got := put(3, tag); got != 412 {
		t.Errorf("with an old tag: %d", got)
	}
	if got := put(3, "*"); got != 200 {
		t.Errorf("with *: %d", got)
	}
}

func TestEveryFaultOfAConfigurationIsNamed(t *testing.T) {
	config := testConfig(2)
	config.Services[0].Check = "none"
	config.Services[0].Backends[1] = config.Services[0].Backends[0]
	config.Services[1].Plane = "l5"
	config.Services[1].VIP = config.Services[0].VIP
	config.Services[1].Backends[0].Weight = MaxWeight + 1
	config.Checks[0].Rise = 0
	p := asProblem(validate(config))
	if len(p.Errors) != 7 || p.Status != 422 {
		t.Errorf("%d %s", len(p.Errors), strings.Join(p.Errors, "\n"))
	}
}

func TestWhatAPlaneCannotDoIsRefusedAndNotTriedForEver(t *testing.T) {
	config := testConfig(2)
	config.Services[0].L4.Fallback, config.Services[0].Policy = true, lb.LeastConn
	config.Services[1].Policy = lb.NeverQueue
	planes := planes(DaemonConfig{}, balancer{}, nil, nil, slog.New(slog.DiscardHandler))
	p := asProblem(validate(config, planes...))
	if len(p.Errors) != 2 || !strings.Contains(p.Detail, `service "web-l4": plane l4 cannot do this: policy "lc"`) ||
		!strings.Contains(p.Detail, `service "web-l7": plane l7 cannot do this: policy "nq"`) {
		t.Errorf("%q", p.Errors)
	}
	if err := validate(testConfig(2), planes...); err != nil {
		t.Error(err)
	}
}

// A backend without a port takes packets at the one that they came to, which no probe can know.
func TestWhatClientsMayAddressIsJudgedAsAWhole(t *testing.T) {
	prefix := func(ports ...uint16) lb.Match {
		return lb.Match{Prefix: netip.MustParsePrefix("198.18.100.0/24"), First: ports[0], Last: ports[1], Proto: lb.TCP}
	}
	for name, row := range map[string]struct {
		edit func(l4, l7 *lb.Service)
		want string
	}{
		"a prefix and no vip":          {func(l4, _ *lb.Service) { l4.VIP, l4.L4.Also = lb.VIP{}, []lb.Match{prefix(80, 80)} }, ""},
		"neither":                      {func(l4, _ *lb.Service) { l4.VIP = lb.VIP{} }, `"web-l4": vip none: want an address and a port`},
		"any port on l7":               {func(_, l7 *lb.Service) { l7.VIP.Addr = netip.MustParseAddrPort("198.18.3.2:0") }, `"web-l7": vip 198.18.3.2:0/tcp: want an address and a port`},
		"a prefix on l7":               {func(_, l7 *lb.Service) { l7.VIP, l7.L4.Also = lb.VIP{}, []lb.Match{prefix(80, 80)} }, `"web-l7": vip none: want an address and a port`},
		"one vip twice":                {func(l4, l7 *lb.Service) { l7.VIP = l4.VIP }, `"web-l7": 198.18.3.1:80/tcp is service "web-l4"'s already`},
		"a port to probe that is none": {func(l4, _ *lb.Service) { l4.Backends[0].Addr = netip.MustParseAddrPort("198.18.4.1:0") }, `backend "s1" at 198.18.4.1:0 has no port of its own: check "tcp" must say which to probe`},
		"no port and no check":         {func(l4, _ *lb.Service) { l4.Check, l4.Backends[0].Addr = "", netip.MustParseAddrPort("198.18.4.1:0") }, ""},
		"no port on l7":                {func(_, l7 *lb.Service) { l7.Check, l7.Backends[0].Addr = "", netip.MustParseAddrPort("198.18.4.1:0") }, `backend "s1": address 198.18.4.1:0: want an address and a port`},
	} {
		config := testConfig(2)
		row.edit(&config.Services[0], &config.Services[1])
		err := validate(config, planes(DaemonConfig{}, balancer{}, nil, nil, slog.New(slog.DiscardHandler))...)
		if row.want == "" && err != nil || row.want != "" && (err == nil || !strings.Contains(err.Error(), row.want)) {
			t.Errorf("%s: %v, want %q", name, err, row.want)
		}
	}
}

// ipvsadm knows a group by its mark and family.
func TestAMarkIsOneServicesOfAFamily(t *testing.T) {
	config := testConfig(1)
	other := config.Services[0]
	other.Name, other.VIP.Addr = "other", netip.MustParseAddrPort("198.18.3.9:80")
	config.Services[0].L4.Mark, other.L4.Mark = 7, 7
	config.Services = append(config.Services, other)
	if err := validate(config); err == nil || !strings.Contains(err.Error(), `service "other": mark 7 is service "web-l4"'s already`) {
		t.Errorf("of one family: %v", err)
	}
	config.Services[2].VIP.Addr = netip.MustParseAddrPort("[2001:db8::9]:80")
	if err := validate(config); err != nil {
		t.Errorf("of two families: %v", err)
	}
}

func TestNearNames(t *testing.T) {
	known := []string{"web-l4", "web-l7", "shop", "s1", "s2", "s12"}
	for word, want := range map[string]string{
		"web": "", "webl4": "web-l4 web-l7", "WEB-L4": "", "shpo": "shop", "s3": "s1 s2 s12", "zzzzzzz": "", "": "",
	} {
		if got := strings.Join(Nearest(word, known), " "); got != want {
			t.Errorf("near %q are %q, want %q", word, got, want)
		}
	}
}

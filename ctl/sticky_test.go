package ctl

import (
	"testing"

	"lbctl/internal/lb"
)

func TestTheKeyOfStickyCookiesOutlivesConfigurationsAndDaemons(t *testing.T) {
	config := testConfig(2)
	s, _ := newState().configured(config)
	if s.stickyKey != "" {
		t.Error("there is a key for nobody")
	}
	config.Services[1].HTTP.Sticky.Cookie = "LB"
	s, _ = s.configured(config)
	key := s.snapshot().Services[1].HTTP.Sticky.Key
	if len(key) < 32 || s.config.Services[1].HTTP.Sticky.Key != "" {
		t.Fatalf("key %q", key)
	}
	config.Services[1].Policy = lb.LeastConn
	s, _ = s.configured(config)
	data, err := encodeState("lab", s)
	if err != nil {
		t.Fatal(err)
	}
	if s, err = decodeState(data, "lab"); err != nil {
		t.Fatal(err)
	}
	if again := s.snapshot().Services[1].HTTP.Sticky.Key; again != key {
		t.Errorf("key %q, then %q", key, again)
	}
	config.Services[1].HTTP.Sticky.Key = "0123456789abcdef"
	s, _ = s.configured(config)
	if own := s.snapshot().Services[1].HTTP.Sticky.Key; own != "0123456789abcdef" {
		t.Errorf("the configured key became %q", own)
	}
}

func TestAServiceOfRoutesNeedsNoVIP(t *testing.T) {
	config := testConfig(1)
	config.Services[1].Routes = []lb.Route{{Service: "api"}}
	if err := validate(config); err == nil {
		t.Error("a route may lead nowhere")
	}
	api := config.Services[1]
	api.Name, api.VIP, api.Routes = "api", lb.VIP{}, nil
	config.Services = append(config.Services, api)
	if err := validate(config); err != nil {
		t.Error(err)
	}
}

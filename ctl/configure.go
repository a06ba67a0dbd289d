package ctl

import (
	"crypto/rand"
	"fmt"
	"slices"

	"lbctl/internal/lb"
)

// configured makes config, which must be valid, the desired one. A backend that
// stays keeps its ID, its admin state and, unless the scenario's own weight
// changes, a weight set at runtime; timeouts set at runtime stay likewise, and a
// target that stays keeps its health.
// Without changes it returns the state as it is: order alone means nothing.
func (s state) configured(config lb.Config) (next state, changes []Change) {
	config = bare(config)
	changes = diff(s.config, config)
	if len(changes) == 0 {
		return s, nil
	}
	next = s.clone()
	next.config = config
	if config.Timeouts != s.config.Timeouts {
		next.timeouts = lb.Timeouts{}
	}
	if next.stickyKey == "" && slices.ContainsFunc(config.Services, sticks) {
		next.stickyKey = rand.Text() + rand.Text()
	}
	clear(next.members)
	weights := configuredWeights(s.config)
	for _, svc := range config.Services {
		if !slices.Contains(next.planes, svc.Plane) {
			next.planes = append(next.planes, svc.Plane)
		}
		for _, b := range svc.Backends {
			key := memberKey{svc.Name, b.Addr}
			m, kept := s.members[key]
			if !kept {
				m.id = next.nextID
				next.nextID++
			}
			if weights[key] != b.Weight {
				m.weight = nil
			}
			next.members[key] = m
		}
	}
	clear(next.health)
	for _, t := range next.targets() {
		if f, ok := s.health[t]; ok {
			next.health[t] = f
		}
	}
	return next, changes
}

// sticks reports whether a service has sticky cookies by the Controller's key.
func sticks(s lb.Service) bool { return s.HTTP.Sticky.Cookie != "" && s.HTTP.Sticky.Key == "" }

// bare returns config without what only the Controller may say.
func bare(config lb.Config) lb.Config {
	services := slices.Clone(config.Services)
	for i := range services {
		backends := slices.Clone(services[i].Backends)
		for j := range backends {
			backends[j].ID, backends[j].Health, backends[j].Admin = 0, lb.Unknown, lb.Enabled
		}
		services[i].Backends = backends
	}
	return lb.Config{Services: services, Checks: slices.Clone(config.Checks), Timeouts: config.Timeouts}
}

func configuredWeights(config lb.Config) map[memberKey]uint32 {
	weights := map[memberKey]uint32{}
	for _, svc := range config.Services {
		for _, b := range svc.Backends {
			weights[memberKey{svc.Name, b.Addr}] = b.Weight
		}
	}
	return weights
}

func revisionEvent(changes []Change) Event {
	message := fmt.Sprintf("%d changes", len(changes))
	if len(changes) == 1 {
		message = "1 change: " + changes[0].String()
	}
	return Event{Kind: EventRevision, Changes: changes, Message: message}
}

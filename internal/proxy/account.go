package proxy

import (
	"lbctl/internal/balance"
	"lbctl/internal/scoreboard"
)

// Account is what is counted of a service or a backend, by all processes
// together, for as long as it is configured, whatever else changes.
//
// A service's connections are those that clients made to it, a backend's those
// that were made to the backend. A backend's requests are attempts: those that
// went elsewhere in the end are its retries. Bytes are heads and bodies as they
// crossed the socket; in is towards the backend. Errors are answers that the
// proxy made up (502, 503, 504) or had to cut off, a backend's those that it was the reason of.
type Account struct{ scoreboard.Cell }

// Accounts finds the account of a key, see ServiceKey and BackendKey.
type Accounts func(key string) Account

// NoAccounts are for who only checks a configuration.
func NoAccounts(string) Account { return Account{scoreboard.Scratch()} }

func (a Account) begin() {
	a.AddRequest()
	a.Begin()
}

// addStatus counts a request by the status that it was answered with.
func (a Account) addStatus(status int) { a.AddResult(min(max(status, 100), 599) - 100) }

// InFlight is how many requests are being answered, in all processes.
func (a Account) InFlight() int64 { return a.Shared().InFlight.Load() }

// words are what policies know of a backend.
func (a Account) words() balance.Member {
	s := a.Shared()
	return balance.Member{
		InFlight: &s.InFlight, Latency: &s.Latency, Outcomes: &s.Outcomes,
		EjectedUntil: &s.EjectedUntil, UpSince: &s.UpSince,
	}
}

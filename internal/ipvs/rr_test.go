package ipvs

import "testing"

func TestRoundRobinTakesEachInTurn(t *testing.T) {
	want(t, choices(service(t, "rr", Options{}, 1, 9, 1), 7), "1231231")
}

func TestRoundRobinPassesOverWeightZero(t *testing.T) {
	want(t, choices(service(t, "rr", Options{}, 1, 0, 1), 5), "13131")
}

func TestRoundRobinGoesOnWhereADeletedBackendStood(t *testing.T) {
	s := service(t, "rr", Options{}, 1, 1, 1, 1)
	want(t, choices(s, 2), "12")
	must(t, s.Delete(addr(2)))
	want(t, choices(s, 3), "341")
	must(t, s.Delete(addr(1))) // the first one: on from the head
	want(t, choices(s, 3), "343")
}

func TestRoundRobinServesANewBackendAfterThisRound(t *testing.T) {
	s := service(t, "rr", Options{}, 1, 1)
	want(t, choices(s, 1), "1")
	must(t, s.Add(Backend{Addr: addr(3), Weight: 1})) // at the head, behind which the walk is
	want(t, choices(s, 4), "2312")
}

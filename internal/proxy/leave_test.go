package proxy

import "testing"

func TestAClientThatGoesToAnotherCoreIsKnownToHaveCarriedARequest(t *testing.T) {
	th := newTheatre(t, 1)
	k := th.accept()
	goesOn := func() {
		front, addr, reused := k.client.Front(), k.client.Addr(), k.client.Reused()
		if !k.client.Leave() {
			t.Fatal("a client that has nothing to do cannot leave")
		}
		k.client = th.core.Resume(k.socket, front, addr, reused)
	}
	goesOn()
	if k.client.Reused() || k.deadline != th.service.HTTP.ClientHeadTimeout {
		t.Errorf("before the first request: reused %t, deadline %v", k.client.Reused(), k.deadline)
	}
	k.says(request("/"), 0)
	th.connected().says(hello, 0)
	goesOn()
	if !k.client.Reused() || k.deadline != th.service.HTTP.ClientIdleTimeout {
		t.Errorf("after the first request: reused %t, deadline %v", k.client.Reused(), k.deadline)
	}
}

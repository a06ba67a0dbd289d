// Package ctl is the control plane: the Controller, which is the only writer
// of a lab's state; the HTTP API and its typed Client; and the daemon that
// holds them, a lab's (RunDaemon) or a standalone balancer's (RunStandalone).
// Desired state goes in (Configure, SetBackend, transitions of health), each
// change becomes the next lb.Snapshot, is persisted, and is handed to the planes,
// which apply it in their own time.
package ctl

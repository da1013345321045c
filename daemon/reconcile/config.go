// SPDX-License-Identifier: Apache-2.0

package reconcile

import (
	"log/slog"
	"time"

	"podgate/daemon/confdir"
	"podgate/daemon/config"
	"podgate/daemon/guard"
	"podgate/haproxy/check"
	"podgate/haproxy/runtime"
)

// Host is the HAProxy on this machine, and what a Reconciler needs to change it.
type Host struct {
	Runtime *runtime.Client
	// AdminSocket is the path of the stats socket that Runtime uses.
	AdminSocket string
	Check       check.HAProxy
	Dir         confdir.Dir
	Now         func() time.Time
	Alive       func() // called before a step that may take a minute, for a watchdog
	Log         *slog.Logger
}

// HostFromConfig returns the HAProxy that podgate.toml names.
func HostFromConfig(c *config.Config, log *slog.Logger) Host {
	h := c.HAProxy
	return Host{
		Runtime: runtime.New(h.AdminSocket, h.MasterSocket, h.Folder), AdminSocket: h.AdminSocket,
		Check: check.HAProxy{Binary: h.Binary, Files: h.Files}, Dir: confdir.Dir(h.Folder),
		Now: time.Now, Alive: func() {}, Log: log,
	}
}

// Config is the part of podgate.toml that a Reconciler needs. SetConfig changes it.
type Config struct {
	ReloadInterval    time.Duration // the longest time for which a reload waits for the last one
	ResyncInterval    time.Duration // how often everything is read back from HAProxy
	TicketKeyInterval time.Duration // how often the TLS session ticket key changes
	Limits            guard.Limits
}

// FromConfig returns the Config of podgate.toml.
func FromConfig(c *config.Config) Config {
	return Config{
		ReloadInterval: c.HAProxy.ReloadInterval, ResyncInterval: c.Kubernetes.ResyncInterval, TicketKeyInterval: c.HTTPS.TicketKeyInterval,
		Limits: guard.Limits{MaxRemoval: c.Safety.MaxRemoval, FromCount: c.Safety.FromCount, HoldTime: c.Safety.HoldTime},
	}
}

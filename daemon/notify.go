// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"log/slog"

	sd "github.com/coreos/go-systemd/v22/daemon"
)

// notifier tells systemd how we are (sd_notify(3)); without systemd it does
// nothing.
type notifier struct {
	log  *slog.Logger
	last string // the last STATUS that was told
}

func newNotifier(log *slog.Logger) notifier { return notifier{log: log} }

// ready ends the start of the unit. It does not wait for the API server: an
// outage at boot must not become a start loop.
func (n *notifier) ready(status string) {
	n.last = status
	n.send(sd.SdNotifyReady + "\nSTATUS=" + status)
}

func (n *notifier) status(status string) {
	if status == n.last {
		return
	}
	n.last = status
	n.send("STATUS=" + status)
}

func (n *notifier) stopping() { n.send(sd.SdNotifyStopping) }

func (n *notifier) send(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		n.log.Debug("systemd is not told", "err", err)
	}
}

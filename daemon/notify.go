// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"log/slog"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
)

// notifier tells systemd how we are (sd_notify(3)); without systemd it does
// nothing.
type notifier struct {
	log      *slog.Logger
	last     string        // the last STATUS that was told
	watchdog time.Duration // what systemd waits for a sign of life; zero for no watchdog
	aliveAt  time.Time     // when we gave the last one
}

func newNotifier(log *slog.Logger) notifier {
	watchdog, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("watchdog is not fed", "err", err)
	}
	return notifier{log: log, watchdog: watchdog}
}

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

// alive feeds the watchdog of the unit. It is for the loop alone, which calls it
// once a pass and before each step that may take long: a loop that hangs is
// then killed and begins anew, while HAProxy goes on. It may be called as often
// as one likes.
func (n *notifier) alive() {
	if n.watchdog == 0 || time.Since(n.aliveAt) < n.watchdog/4 {
		return
	}
	n.aliveAt = time.Now()
	n.send(sd.SdNotifyWatchdog)
}

func (n *notifier) stopping() { n.send(sd.SdNotifyStopping) }

func (n *notifier) send(state string) {
	if _, err := sd.SdNotify(false, state); err != nil {
		n.log.Debug("systemd is not told", "err", err)
	}
}

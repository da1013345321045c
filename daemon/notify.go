// SPDX-License-Identifier: Apache-2.0

package daemon

import (
	"log/slog"
	"time"

	sd "github.com/coreos/go-systemd/v22/daemon"
)

// notifier reports the state of podgate to systemd (sd_notify(3)). Without systemd it
// does nothing.
type notifier struct {
	log      *slog.Logger
	last     string        // the last STATUS that was sent
	watchdog time.Duration // after so long without WATCHDOG=1 systemd kills podgate; zero for no watchdog
	aliveAt  time.Time     // when the last WATCHDOG=1 was sent
}

func newNotifier(log *slog.Logger) notifier {
	watchdog, err := sd.SdWatchdogEnabled(false)
	if err != nil {
		log.Warn("watchdog is not notified", "err", err)
	}
	return notifier{log: log, watchdog: watchdog}
}

// ready reports that the unit has started. It does not wait for the API server: an
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

// alive notifies the watchdog of the unit. Only the loop calls it, in each pass and
// before each step that may take long: systemd restarts podgate if the loop hangs, and
// HAProxy continues to serve meanwhile. It limits the rate of its messages itself.
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
		n.log.Debug("systemd is not notified", "err", err)
	}
}

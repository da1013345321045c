// SPDX-License-Identifier: Apache-2.0

//go:build lifecycle

// Package lifecycle installs, upgrades, removes and purges the Debian package under load,
// on a Debian with a real systemd. "make test-deb" runs it in a container: it changes the
// machine that it runs on.
package lifecycle

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"podgate/daemon/edgetest"
	"podgate/kubeapi"
	"podgate/kubeapi/kubeapitest"
)

const (
	operatorConfig = "/etc/haproxy/haproxy.cfg"
	dropinFolder   = "/etc/systemd/system/haproxy.service.d"
	configFile     = "/etc/podgate/podgate.toml"
	tokenFile      = "/etc/podgate/token"
)

// TestLifecycle tests a fresh install, setup, a Service, upgrades, removal, reinstall and
// purge. No request may fail meanwhile.
func TestLifecycle(t *testing.T) {
	packages := packagesOf(t)
	ownPod := newPod(t, "own")
	edge := appendFile(t, operatorConfig, fmt.Sprintf(`
frontend own
	bind 127.0.0.1:8081
	option idle-close-on-response
	default_backend own
backend own
	server own %s
`, ownPod.Addr))
	if os.Getenv("HARDENED") != "" {
		harden(t)
	}
	run(t, "systemctl", "restart", "haproxy")
	first := invocation(t, "haproxy")

	t.Log("install")
	steps := readme(t)
	folder := steps.folder(t, packages[0])
	for _, line := range steps.install {
		runIn(t, folder, line)
	}
	installed(t, packages[0])
	want(t, "podgate.service is enabled", output("systemctl", "is-enabled", "podgate"), "enabled")
	want(t, "podgate.service waits for its configuration", output("systemctl", "show", "podgate", "--property=ActiveState,ConditionResult"), "ActiveState=inactive\nConditionResult=no")
	want(t, "podgate-drain.service is not enabled by the package", output("systemctl", "is-enabled", "podgate-drain"), "disabled")
	want(t, "user podgate is in group haproxy", output("id", "-nG", "podgate"), "podgate haproxy")
	want(t, "owner of the folder", output("stat", "-c", "%U:%G %a", "/var/lib/podgate/haproxy"), "podgate:haproxy 750")
	want(t, "failed units", output("systemctl", "--failed", "--plain", "--no-legend"), "")

	t.Log("configure")
	cluster := newCluster(t)
	one := newPod(t, "cart")
	cluster.serve("cart", one)
	writeFile(t, "/etc/podgate/ca.crt", string(cluster.api.CertificatePEM()), 0o644)
	writeFile(t, filepath.Join(folder, "token"), "first", 0o600)
	runIn(t, folder, steps.token)
	cluster.api.Misbehave(kubeapitest.RequireToken("first"))
	config := strings.Replace(steps.config, "https://192.0.2.10:6443", cluster.api.URL(), 1) + "[haproxy]\nreload_interval = \"1s\"\n" +
		"[safety]\nnetworks = [\"127.0.0.0/8\"]\n" // pods have loopback addresses
	writeFile(t, configFile, config, 0o644)
	run(t, "podgate", "check")
	completes(t)
	checkLinks(t)

	t.Log("setup")
	writeFile(t, operatorConfig, edge+"frontend web\n\tbind *:80\n\thttp-request return status 200\n", 0o644)
	out, err := combined("podgate", "setup", "haproxy", "--restart")
	if err == nil || !strings.Contains(out, operatorConfig+":") || !strings.Contains(out, "bind *:80, and podgate.toml has 0.0.0.0:80") {
		t.Errorf("a frontend on podgate's port: %v, %s", err, out)
	}
	writeFile(t, operatorConfig, edge, 0o644)
	if out, err := combined("podgate", "setup", "haproxy", "--check"); err == nil || !strings.Contains(out, "to do: write ") {
		t.Errorf("check before setup: %v, %s", err, out)
	}
	run(t, "podgate", "setup", "haproxy")
	want(t, "haproxy.service is not restarted without --restart", invocation(t, "haproxy"), first)
	run(t, "podgate", "setup", "haproxy", "--undo")
	if _, err := os.Stat(dropinFolder + "/podgate.conf"); !os.IsNotExist(err) {
		t.Errorf("after --undo: %v", err)
	}
	for _, line := range steps.setup {
		runIn(t, folder, line)
	}
	haproxy := invocation(t, "haproxy")
	if haproxy == first {
		t.Error("haproxy.service is not restarted by --restart")
	}
	run(t, "podgate", "setup", "haproxy", "--restart")
	want(t, "haproxy.service is restarted once", invocation(t, "haproxy"), haproxy)
	run(t, "podgate", "setup", "haproxy", "--check")

	t.Log("serve")
	await(t, target("cart"))
	run(t, "systemctl", "enable", "--now", "podgate-drain")
	l := startLoad(t, target("cart"), own())

	t.Log("every feature in the sandbox of the unit")
	two := newPod(t, "cart")
	cluster.serve("cart", one, two)
	awaitPod(t, target("cart"), two)
	cluster.serve("cart", two)
	for range 3 { // each is a reload, with haproxy -c before it
		cluster.newService(t)
	}
	cluster.rotateToken(t, "second")
	cluster.newService(t)
	execInTheSandbox(t, cluster)
	tlsInTheSandbox(t, cluster)
	config = readFile(t, configFile)
	pageInTheSandbox(t)
	reloadHAProxy(t)
	run(t, "runuser", "-u", "podgate", "--", "podgate", "diff", "-o", "json")

	t.Log("upgrade, configuration untouched")
	worker := workerPid(t)
	before := invocation(t, "podgate")
	install(t, packages[1])
	if invocation(t, "podgate") == before {
		t.Error("podgate still runs in its old version")
	}
	cluster.serve("cart", one, two)
	awaitPod(t, target("cart"), one)
	want(t, "an upgrade reloads nothing: worker", workerPid(t), worker)
	cluster.newService(t)

	t.Log("upgrade, configuration edited")
	edited := config + "[log]\nlevel = \"debug\"\n"
	writeFile(t, configFile, edited, 0o600)
	run(t, "chown", "podgate:", configFile)
	install(t, packages[2])
	want(t, "podgate.toml", readFile(t, configFile), edited)
	want(t, "mode of podgate.toml", output("stat", "-c", "%U %a", configFile), "podgate 600")
	cluster.newService(t)

	want(t, "podgate-drain.service stays active through upgrades", output("systemctl", "is-active", "podgate-drain"), "active")

	t.Log("remove")
	run(t, "apt-get", "remove", "--yes", "podgate")
	want(t, "podgate.service", output("systemctl", "is-active", "podgate"), "inactive")
	reloadHAProxy(t)
	await(t, target("cart"))

	t.Log("reinstall")
	worker = workerPid(t)
	install(t, packages[2])
	want(t, "podgate.service", output("systemctl", "is-active", "podgate"), "active")
	cluster.serve("cart", two)
	awaitPod(t, target("cart"), two)
	want(t, "a reinstallation reloads nothing: worker", workerPid(t), worker)
	cluster.newService(t)
	run(t, "podgate", "setup", "haproxy", "--check")
	t.Log(l.Report())
	checkLog(t)

	t.Log("a broken podgate.toml")
	brokenReload(t, cluster)

	t.Log("a podgate that hangs")
	hangPodgate(t)
	await(t, target("cart"))

	t.Log("purge")
	run(t, "apt-get", "purge", "--yes", "podgate")
	for _, gone := range []string{"/var/lib/podgate", dropinFolder + "/podgate.conf", "/usr/sbin/podgate", "/etc/systemd/system/multi-user.target.wants/podgate.service", "/etc/systemd/system/multi-user.target.wants/podgate-drain.service"} {
		if _, err := os.Lstat(gone); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", gone, err)
		}
	}
	want(t, "podgate.toml is the operator's", readFile(t, configFile), edited)
	await(t, target("cart"))
	run(t, "systemctl", "reload", "haproxy") // the master still has the removed folder in its arguments: the old worker continues
	await(t, target("cart"))
	checkLoad(t, l)
	if got := invocation(t, "haproxy"); got != haproxy {
		t.Errorf("haproxy.service was restarted: invocation %q, want %q\n%s", got, haproxy, output("journalctl", "--no-pager", "--lines=60", "--output=short-precise", "--unit=haproxy"))
	}

	run(t, "systemctl", "restart", "haproxy")
	await(t, own())
	want(t, "failed units", output("systemctl", "--failed", "--plain", "--no-legend"), "")
}

// TestPurgeKeepsTheOptionsOfTheOperator: the options for HAProxy are in a file of the
// operator, which a purge must not change.
func TestPurgeKeepsTheOptionsOfTheOperator(t *testing.T) {
	const defaults = "/etc/default/haproxy"
	before := readFile(t, defaults)
	install(t, packagesOf(t)[2])
	appendFile(t, defaults, "EXTRAOPTS=\"-S /run/haproxy/master.sock,mode,660,group,haproxy -f /var/lib/podgate/haproxy\"\n")
	run(t, "podgate", "setup", "haproxy", "--restart")
	if _, err := os.Stat(dropinFolder + "/podgate.conf"); !os.IsNotExist(err) {
		t.Errorf("setup wrote a drop-in that is not needed: %v", err)
	}
	run(t, "podgate", "setup", "haproxy", "--check")
	run(t, "apt-get", "purge", "--yes", "podgate")
	run(t, "systemctl", "restart", "haproxy")
	want(t, "haproxy.service", output("systemctl", "is-active", "haproxy"), "active")
	writeFile(t, defaults, before, 0o644)
	run(t, "systemctl", "restart", "haproxy")
}

// TestDrainIsReadyForShutdown prepares the machine so that its shutdown drains it. run.sh
// shuts it down afterwards and checks that.
func TestDrainIsReadyForShutdown(t *testing.T) {
	install(t, packagesOf(t)[2])
	config := "[kubernetes]\nserver = \"http://127.0.0.1:1\"\n[cloud]\nhealth_bind = [\"127.0.0.1:8404\"]\ndrain_wait = \"2s\"\n"
	writeFile(t, configFile, config, 0o644)
	run(t, "podgate", "setup", "haproxy", "--restart")
	run(t, "systemctl", "restart", "podgate")
	run(t, "systemctl", "enable", "--now", "podgate-drain")
	run(t, "systemctl", "stop", "podgate-drain")
	if _, err := os.Stat("/var/lib/podgate/haproxy/podgate.drain"); !os.IsNotExist(err) {
		t.Errorf("the node drains although the machine does not shut down: %v", err)
	}
	run(t, "systemctl", "start", "podgate-drain")
}

// readmeSteps is the section "Install" of README.md, verbatim except for sudo.
type readmeSteps struct {
	install []string // commands that install the package, without make deb
	token   string
	config  string   // podgate.toml
	setup   []string // commands
}

func readme(t *testing.T) readmeSteps {
	t.Helper()
	_, section, _ := strings.Cut(readFile(t, os.Getenv("README")), "\n## Install\n")
	section, _, _ = strings.Cut(section, "\n## ")
	// blocks returns the fenced blocks of a kind, without prompts.
	blocks := func(kind string) (all []string) {
		for _, block := range regexp.MustCompile("(?s)\n```"+kind+"\n(.*?\n)```\n").FindAllStringSubmatch(section, -1) {
			all = append(all, strings.ReplaceAll(strings.ReplaceAll("\n"+block[1], "\n$ ", "\n"), "\nsudo ", "\n")[1:])
		}
		return all
	}
	console, toml := blocks("console"), blocks("toml")
	token := regexp.MustCompile("`(install [^`]+)`").FindStringSubmatch(section)
	if len(console) != 2 || len(toml) != 1 || token == nil {
		t.Fatalf("the section Install of README.md has the commands %q, %q and podgate.toml %q", console, token, toml)
	}
	steps := readmeSteps{token: strings.Join(strings.Fields(token[1]), " "), config: toml[0], setup: lines(console[1])}
	for _, line := range lines(console[0]) {
		if line != "make deb" { // the package exists already
			steps.install = append(steps.install, line)
		}
	}
	return steps
}

func lines(text string) []string { return strings.Split(strings.TrimSpace(text), "\n") }

// folder returns a folder in which the commands can run: it has the package under the
// name that they use.
func (s readmeSteps) folder(t *testing.T, file string) string {
	t.Helper()
	folder := t.TempDir()
	named := regexp.MustCompile(`\./(dist/\S+\.deb)`).FindStringSubmatch(strings.Join(s.install, "\n"))
	if named == nil {
		t.Fatalf("README installs no package: %q", s.install)
	}
	writeFile(t, filepath.Join(folder, named[1]), readFile(t, file), 0o644)
	run(t, "chmod", "-R", "a+rX", filepath.Dir(folder))
	return folder
}

// runIn runs a line of shell in a folder.
func runIn(t *testing.T, folder, line string) {
	t.Helper()
	run(t, "env", "--chdir="+folder, "sh", "-ec", line)
}

// harden installs the packaged hardening drop-in. The package need not be installed.
func harden(t *testing.T) {
	t.Helper()
	text := readFile(t, os.Getenv("HARDENED"))
	writeFile(t, dropinFolder+"/hardening.conf", text, 0o644)
	run(t, "systemctl", "daemon-reload")
}

// packagesOf returns three versions of the package, oldest first.
func packagesOf(t *testing.T) []string {
	t.Helper()
	packages, err := filepath.Glob(os.Getenv("PACKAGES"))
	if err != nil || len(packages) != 3 {
		t.Fatalf("$PACKAGES=%s is %q, not three packages: %v", os.Getenv("PACKAGES"), packages, err)
	}
	return packages
}

func install(t *testing.T, file string) {
	t.Helper()
	run(t, "apt-get", "install", "--yes", "--no-install-recommends", file)
	installed(t, file)
}

func installed(t *testing.T, file string) {
	t.Helper()
	version := strings.Split(filepath.Base(file), "_")[1]
	want(t, "installed version", output("dpkg-query", "-W", "-f", "${Version} ${Status}", "podgate"), version+" install ok installed")
}

// checkLog looks in the journal of podgate for errors, warnings, and anything that the
// sandbox may have forbidden.
func checkLog(t *testing.T) {
	t.Helper()
	log := output("journalctl", "--unit=podgate", "--output=cat")
	bad := regexp.MustCompile(`(?m)^.*(level=(ERROR|WARN)|not permitted|[Pp]ermission denied|Read-only|watchdog|Watchdog|SIG[A-Z]+).*$`)
	for _, line := range bad.FindAllString(log, -1) {
		t.Errorf("the log has: %s", line)
	}
	want(t, "restarts of podgate by systemd", output("systemctl", "show", "podgate", "--property=NRestarts"), "NRestarts=0")
	t.Logf("reloads of HAProxy by podgate: %d", strings.Count(log, "msg=reloaded"))
}

// hangPodgate stops the process of podgate with SIGSTOP, and waits until the watchdog of
// systemd, which is shortened, has replaced it.
func hangPodgate(t *testing.T) {
	t.Helper()
	writeFile(t, "/run/systemd/system/podgate.service.d/watchdog.conf", "[Service]\nWatchdogSec=6s\nTimeoutStopSec=1s\n", 0o644)
	run(t, "systemctl", "daemon-reload")
	run(t, "systemctl", "restart", "podgate")
	before := invocation(t, "podgate")
	run(t, "systemctl", "kill", "--kill-whom=main", "--signal=STOP", "podgate")
	eventually(t, "systemd restarts podgate", func() bool {
		return invocation(t, "podgate") != before && output("systemctl", "is-active", "podgate") == "active"
	})
}

// invocation returns the invocation ID of a unit, which each start changes.
func invocation(t *testing.T, unit string) string {
	t.Helper()
	return output("systemctl", "show", unit, "--property=InvocationID", "--value")
}

// reloadHAProxy reloads HAProxy through systemd, and waits for the new worker.
func reloadHAProxy(t *testing.T) {
	t.Helper()
	before := workerPid(t)
	run(t, "systemctl", "reload", "haproxy")
	eventually(t, "HAProxy has a new worker", func() bool { return workerPid(t) != before })
}

// workerPid returns the pid of the present HAProxy worker.
func workerPid(t *testing.T) string {
	t.Helper()
	pid := regexp.MustCompile(`(?m)^Pid: (\d+)$`).FindString(showInfo(t))
	if pid == "" {
		t.Fatal("show info has no Pid")
	}
	return pid
}

func run(t *testing.T, name string, args ...string) {
	t.Helper()
	began := time.Now()
	out, err := combined(name, args...)
	if err != nil {
		t.Fatalf("%s %s: %v\n%s\n%s", name, strings.Join(args, " "), err, out, journal())
	}
	t.Logf("%5d ms  %s %s", time.Since(began).Milliseconds(), name, strings.Join(args, " "))
	if name == "podgate" {
		t.Log(out)
	}
}

func combined(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8")
	out, err := cmd.CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

func output(name string, args ...string) string {
	out, _ := combined(name, args...)
	return out
}

func journal() string {
	return output("journalctl", "--no-pager", "--lines=40", "--output=cat", "--unit=podgate")
}

func want(t *testing.T, what, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("%s: got %q, want %q\n%s", what, got, want, journal())
	}
}

func readFile(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// writeFile replaces a file atomically, as editors and configuration management do.
func writeFile(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if err == nil {
		err = os.WriteFile(path+".new", []byte(text), mode)
	}
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func appendFile(t *testing.T, path, text string) string {
	t.Helper()
	text = readFile(t, path) + text
	writeFile(t, path, text, 0o644)
	return text
}

// cluster is a fake API server with TLS, which may require a token.
type cluster struct {
	api      *kubeapitest.Server
	t        *testing.T
	services int
}

func newCluster(t *testing.T) *cluster {
	t.Helper()
	c := &cluster{api: kubeapitest.New(), t: t}
	if err := c.api.StartTLS("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.api.Stop)
	return c
}

// rotateToken replaces the token file as README.Debian describes, and makes the API
// server accept only the new token.
func (c *cluster) rotateToken(t *testing.T, token string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "token")
	writeFile(t, file, token, 0o600)
	run(t, "install", "-o", "podgate", "-g", "podgate", "-m", "0600", file, tokenFile)
	c.api.Misbehave(kubeapitest.RequireToken(token))
}

// awaitToken makes the API server accept only token, and waits until podgate watches with it.
func (c *cluster) awaitToken(t *testing.T, token string) {
	t.Helper()
	c.api.Misbehave(kubeapitest.RequireToken(token))
	c.api.CutWatches()
	eventually(t, "podgate follows with token "+token, func() bool { return c.api.Watching() >= 2 })
}

// serve creates or updates a Service whose endpoints are pods.
func (c *cluster) serve(name string, pods ...*edgetest.Pod) { c.serveWith(name, nil, pods...) }

// serveWith is serve with annotations.
func (c *cluster) serveWith(name string, annotations map[string]string, pods ...*edgetest.Pod) {
	c.t.Helper()
	slice := kubeapi.EndpointSlice{
		Key: kubeapi.Key{Namespace: "default", Name: name + "-1"}, Service: name,
		Ports: []kubeapi.EndpointPort{{Name: "http", Port: pods[0].Addr.Port()}},
	}
	for _, p := range pods {
		slice.Endpoints = append(slice.Endpoints, kubeapi.Endpoint{Addr: p.Addr.Addr(), Ready: true, Serving: true})
	}
	service := kubeapi.Service{
		Key:         kubeapi.Key{Namespace: "default", Name: name},
		Annotations: annotations, Ports: []kubeapi.ServicePort{{Name: "http", Port: 80}},
	}
	if err := errors.Join(c.api.SetService(service), c.api.SetSlice(slice)); err != nil {
		c.t.Fatal(err)
	}
}

// newService adds a Service, which before HAProxy 3.4 needs a reload, and waits for it.
func (c *cluster) newService(t *testing.T) {
	t.Helper()
	c.services++
	name := fmt.Sprintf("extra-%d", c.services)
	c.serve(name, newPod(t, name))
	await(t, target(name))
}

// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"podgate/daemon/compile"
	"podgate/daemon/edgetest"
	"podgate/haproxy/cfgfile"
	"podgate/haproxy/haproxytest"
	"podgate/haproxy/runtime"
)

// contender is an HAProxy with one thread that gets the load of requests.
type contender struct {
	*haproxytest.HAProxy
	key     string // of its figures; "" for podgate's
	podgate string // the binary that renders the configuration; "" for the yardstick

	process runtime.Process
	addr    netip.AddrPort // of the frontend
	tls     *tls.Config    // of clients; nil without TLS
	runs    []requestRun
}

// start starts HAProxy with routes of a kind, to pods with this port.
func (c *contender) start(ctx context.Context, k routeKind, s size, port uint16) (err error) {
	if c.HAProxy, err = haproxytest.Start(ctx, haproxytest.Options{Global: []string{"nbthread 1"}}); err != nil {
		return err
	}
	if err := c.configure(ctx, k, s, port); err != nil {
		return errors.Join(err, c.Stop())
	}
	return nil
}

func (c *contender) configure(ctx context.Context, k routeKind, s size, port uint16) (err error) {
	if c.addr, err = c.FreeAddr(); err != nil {
		return err
	}
	render := c.renderYardstick
	if c.podgate != "" {
		render = c.renderPodgate
	}
	files, err := render(ctx, k, s, port)
	if err != nil {
		return err
	}
	if k.tls {
		c.tls = &tls.Config{InsecureSkipVerify: true, ServerName: "a.edge.test", NextProtos: []string{"http/1.1"}}
	}
	if err := c.Write(files); err != nil {
		return err
	}
	if err := c.Restart(ctx); err != nil {
		return fmt.Errorf("%w\nHAProxy's log ends with:\n%s", err, c.Log())
	}
	c.process, err = runtime.New(c.Admin, c.Master, c.Folder).Process(ctx)
	return err
}

// renderPodgate returns the files that "podgate render" prints. The certificate and the
// ticket keys, which it does not print, are written.
func (c *contender) renderPodgate(ctx context.Context, k routeKind, s size, port uint16) (map[string][]byte, error) {
	dir := filepath.Dir(c.Folder)
	toml, objects, certificate := filepath.Join(dir, "podgate.toml"), filepath.Join(dir, "objects.json"), filepath.Join(dir, "edge.pem")
	text, err := json.Marshal(k.objects(s, port))
	if err != nil {
		return nil, err
	}
	config, err := c.podgateTOML(k, certificate)
	if err != nil {
		return nil, err
	}
	err = errors.Join(os.WriteFile(objects, text, 0o600), os.WriteFile(toml, config, 0o600), writeCertificate(certificate))
	if err != nil {
		return nil, err
	}
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(ctx, c.podgate, "render", "--config", toml, "--from", objects)
	cmd.Stdout, cmd.Stderr = &out, &problems
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("%s render: %w\n%s", c.podgate, err, problems.Bytes())
	}
	files := printedFiles(out.String())
	if name, _, ok := strings.Cut(string(files[cfgfile.CrtListFile]), " "); ok {
		if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.Rename(certificate, name)); err != nil {
			return nil, err
		}
		files[cfgfile.TicketKeysFile] = ticketKeys()
	}
	return files, nil
}

// podgateTOML returns a podgate.toml with keys that podgate has had from the beginning.
func (c *contender) podgateTOML(k routeKind, certificate string) ([]byte, error) {
	var others [4]netip.AddrPort
	for i := range others {
		addr, err := c.FreeAddr()
		if err != nil {
			return nil, err
		}
		others[i] = addr
	}
	plain, https := c.addr, ""
	if k.tls {
		plain = others[0]
		https = fmt.Sprintf("[https]\nbind = [%q]\nrelay = %q\ninner = %q\ncertificates = [%q]\n", c.addr, others[1], others[2], certificate)
	}
	return fmt.Appendf(nil, `[kubernetes]
server = "https://127.0.0.1:1"
token_file = "/"
namespaces = [%q]
%s[http]
bind = [%q]
relay = %q
[defaults]
check = false
[safety]
networks = ["127.0.0.0/8"]
%s`, edgetest.Namespace, c.Section(), plain, others[3], https), nil
}

// printedFiles are the files in the output of "podgate render", by name.
func printedFiles(out string) map[string][]byte {
	files := map[string][]byte{}
	for _, part := range strings.Split("\n"+out, "\n==> ")[1:] {
		if name, text, ok := strings.Cut(part, " <==\n"); ok {
			files[name] = []byte(strings.TrimSuffix(text, "\n") + "\n")
		}
	}
	return files
}

// writeCertificate writes a new certificate with its key.
func writeCertificate(path string) error {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	now := time.Now()
	text, err := haproxytest.SelfSigned(key, now.Add(-time.Hour), now.Add(24*time.Hour), "*.edge.test")
	if err != nil {
		return err
	}
	return os.WriteFile(path, text, 0o600)
}

// ticketKeys returns keys for session tickets (configuration.txt "tls-ticket-keys").
func ticketKeys() []byte {
	var text []byte
	for range 3 {
		key := make([]byte, 80)
		_, _ = rand.Read(key) // it never fails
		text = append(append(text, base64.StdEncoding.EncodeToString(key)...), '\n')
	}
	return text
}

// renderYardstick returns what an operator would write for the same backends, with the
// headers that most operators set.
func (c *contender) renderYardstick(_ context.Context, k routeKind, s size, port uint16) (map[string][]byte, error) {
	bind, proto := c.addr.String(), "http"
	if k.tls {
		certificate := filepath.Join(filepath.Dir(c.Folder), "edge.pem")
		if err := writeCertificate(certificate); err != nil {
			return nil, err
		}
		bind, proto = bind+" ssl crt "+certificate+" alpn h2,http/1.1", "https"
	}
	const entries = "operator.map"
	backend := strings.ReplaceAll(k.yardstick, "MAP", filepath.Join(c.Folder, entries))
	var config, routes bytes.Buffer
	fmt.Fprintf(&config, `defaults operator-defaults
  mode http
  balance roundrobin
  timeout connect 5s
  timeout client 50s
  timeout server 50s

frontend operator from operator-defaults
  bind %s
  http-request set-header X-Forwarded-For %%[src]
  http-request set-header X-Forwarded-Port %%[dst_port]
  http-request set-header X-Forwarded-Proto %s
  use_backend %%[%s]
`, bind, proto, backend)
	for i := range s.services {
		name := fmt.Sprintf("%s_%s_80", edgetest.Namespace, serviceName(i))
		fmt.Fprintf(&config, "\nbackend %s from operator-defaults\n", name)
		for n := range s.pods {
			fmt.Fprintf(&config, "  server pod%d %s\n", n, netip.AddrPortFrom(podAddr(i, n), port))
		}
		fmt.Fprintln(&routes, k.key(i), name)
	}
	return map[string][]byte{"operator.cfg": config.Bytes(), entries: routes.Bytes()}, nil
}

// podAddr is the address of the n-th pod of the i-th Service.
func podAddr(i, n int) netip.Addr {
	return netip.AddrFrom4([4]byte{127, 64 + byte(n), byte(i >> 8), byte(i)})
}

// objects returns the Services and EndpointSlices as kubectl prints them.
func (k routeKind) objects(s size, port uint16) map[string]any {
	type object = map[string]any
	var items []object
	for i := range s.services {
		name, annotations := serviceName(i), object{}
		for key, value := range k.annotations(i) {
			annotations[compile.Prefix+key] = value
		}
		var endpoints []object
		for n := range s.pods {
			endpoints = append(endpoints, object{"addresses": []string{podAddr(i, n).String()}, "conditions": object{"ready": true}})
		}
		items = append(items, object{
			"apiVersion": "v1", "kind": "Service",
			"metadata": object{"namespace": edgetest.Namespace, "name": name, "annotations": annotations},
			"spec":     object{"ports": []object{{"name": portName, "port": 80}}},
		}, object{
			"apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
			"metadata":  object{"namespace": edgetest.Namespace, "name": name + "-1", "labels": object{"kubernetes.io/service-name": name}},
			"ports":     []object{{"name": portName, "port": port}},
			"endpoints": endpoints,
		})
	}
	return object{"apiVersion": "v1", "kind": "List", "items": items}
}

// requestRun is what one run of requestCount requests took.
type requestRun struct{ wall, cpu time.Duration }

// run sends the requests. The first run opens the connections to the pods, and does not
// count.
func (c *contender) run(ctx context.Context, texts [][]byte) error {
	before, err := threadsCPU(c.process.Pid)
	if err != nil {
		return err
	}
	wall, err := load(ctx, c.addr, c.tls, texts, requestCount)
	if err != nil {
		return err
	}
	after, err := threadsCPU(c.process.Pid)
	c.runs = append(c.runs, requestRun{wall, after - before})
	return err
}

// cpu is the processor time of one request.
func (c *contender) cpu() time.Duration {
	return c.least(func(r requestRun) time.Duration { return r.cpu }) / requestCount
}

func (c *contender) least(of func(requestRun) time.Duration) time.Duration {
	var all []time.Duration
	for _, r := range c.runs[1:] {
		all = append(all, of(r))
	}
	return slices.Min(all)
}

func (c *contender) line() line {
	prefix := c.key
	if prefix != "" {
		prefix += "_"
	}
	wall := c.least(func(r requestRun) time.Duration { return r.wall })
	return line{{prefix + "cpu_us", ms(c.cpu() * 1000)}, {prefix + "per_s", int(requestCount / wall.Seconds())}}
}

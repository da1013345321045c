// SPDX-License-Identifier: Apache-2.0

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// podgate runs one command line, and returns its output and exit code.
func podgate(t *testing.T, args ...string) (stdout, stderr string, code int) {
	t.Helper()
	var out, errs bytes.Buffer
	if err := run(t.Context(), args, &out, &errs); err != nil {
		fmt.Fprintln(&errs, err)
		code = exitCode(err)
	}
	return out.String(), errs.String(), code
}

// write writes text to a new file of that name, and returns its path.
func write(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// smallest is a podgate.toml without an installed HAProxy.
const smallest = `
[kubernetes]
server = "https://192.0.2.10:6443"
[haproxy]
folder = "/var/lib/podgate/haproxy"
binary = "/nonexistent/haproxy"
error_files = ""
`

func hostname(t *testing.T) string {
	t.Helper()
	name, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// nodes returns n entries for peers.nodes that do not contain this host.
func nodes(n int) string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("%q", fmt.Sprintf("no-%d=10.0.1.%d:10024", i+1, i)))
	}
	return strings.Join(all, ", ")
}

func TestCheck(t *testing.T) {
	for _, row := range []struct {
		name, text string
		stderr     string // FILE stands for the file
		code       int
	}{
		{"a valid file", smallest, "", 0},
		{"every error has its line", "[kubernetes]\nserver = \"ftp://x\"\npoll_intervall = \"3s\"\n[default]\ncheck = true\n", `
FILE:2: kubernetes.server: "ftp://x" is not an http or https URL (write it like "https://10.0.0.1:6443")
FILE:3: kubernetes.poll_intervall: unknown key (did you mean "poll_interval"?)
FILE:4: default: unknown section (did you mean "defaults"?)
`, 1},
		{"invalid TOML has its line", "[kubernetes]\nserver = https\n", `
FILE:2: expected value but found "https" instead
`, 1},
		{"an unusable certificate is a note", smallest + "[https]\nbind = [\":8443\"]\ncertificates = [\"/nonexistent\"]\n",
			"note: certificate /nonexistent: does not exist; its certificates in service stay\n", 0},
		{"a host that is not in peers.nodes is a note", smallest + "[peers]\nnodes = [" + nodes(6) + "]\n",
			"note: peers.nodes: on this host: \"HOST\" is not one of no-1, no-2, no-3, no-4, 2 more; stick tables are not shared (unless -L or localpeer gives HAProxy one of these names)\n", 0},
		{"a host that is in peers.nodes", smallest + "[peers]\nnodes = [\"" + hostname(t) + "=10.0.0.1:10024\", " + nodes(1) + "]\n", "", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			file := write(t, "podgate.toml", row.text)
			stdout, stderr, code := podgate(t, "check", "--config", file)
			stderr = strings.ReplaceAll(strings.ReplaceAll(stderr, file, "FILE"), strconv.Quote(hostname(t)), `"HOST"`)
			if diff := cmp.Diff(strings.TrimPrefix(row.stderr, "\n"), stderr); diff != "" || stdout != "" || code != row.code {
				t.Errorf("stdout %q, code %d, stderr (-want +got):\n%s", stdout, code, diff)
			}
		})
	}
	t.Run("a missing file", func(t *testing.T) {
		_, stderr, code := podgate(t, "check", "--config", "/nonexistent/podgate.toml")
		if want := "read configuration: open /nonexistent/podgate.toml: no such file or directory\n"; stderr != want || code != 1 {
			t.Errorf("got %q, code %d, want %q, code 1", stderr, code, want)
		}
	})
}

func TestRunExitsWithConfigErrorCode(t *testing.T) {
	file := write(t, "podgate.toml", "[kubernetes]\n")
	_, stderr, code := podgate(t, "run", "--config", file)
	if code != exitConfig || !strings.HasPrefix(stderr, file+":") {
		t.Errorf("code %d, %q", code, stderr)
	}
	missing := write(t, "podgate.toml", "[kubernetes]\nkubeconfig = \"/nonexistent/config\"\n")
	_, stderr, code = podgate(t, "run", "--config", missing)
	if want := "/nonexistent/config"; code != exitConfig || !strings.Contains(stderr, want) {
		t.Errorf("code %d, %q does not name %s", code, stderr, want)
	}
}

const cart = `
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Service
  metadata: {name: cart, namespace: default, annotations: {serviceloadbalancer/lb.algorithm: fastest}}
  spec: {ports: [{name: http, port: 80}]}
- apiVersion: discovery.k8s.io/v1
  kind: EndpointSlice
  metadata: {name: cart-x, namespace: default, labels: {kubernetes.io/service-name: cart}}
  addressType: IPv4
  ports: [{name: http, port: 8080}]
  endpoints: [{addresses: [10.2.9.103]}]
`

func TestRenderPrintsFilesAndProblems(t *testing.T) {
	stdout, stderr, code := podgate(t, "render", "--config", write(t, "podgate.toml", smallest), "--from", write(t, "cluster.yaml", cart))
	if code != 0 {
		t.Errorf("code %d", code)
	}
	for _, want := range []string{
		"==> podgate.cfg <==\n",
		"\n==> routes.map <==\n*/cart/ default_cart_80|5|/cart\n",
		"\n  server 10.2.9.103:8080 10.2.9.103:8080 check inter 5000 ",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("stdout has no %q:\n%s", want, stdout)
		}
	}
	want := `Service default/cart: annotation serviceloadbalancer/lb.algorithm: "fastest" is not one of roundrobin, leastconn, first, source, random` + "\n"
	if stderr != want {
		t.Errorf("stderr (-want +got):\n%s", cmp.Diff(want, stderr))
	}
	again, _, _ := podgate(t, "render", "--config", write(t, "podgate.toml", smallest), "--from", write(t, "cluster.yaml", cart))
	if again != stdout {
		t.Errorf("the second output differs:\n%s", cmp.Diff(stdout, again))
	}
}

// TestRenderReadsTheSelectedServices has what podgate run reads of the same cluster.
func TestRenderReadsTheSelectedServices(t *testing.T) {
	const service = "---\napiVersion: v1\nkind: Service\nmetadata: {name: %s, labels: {app: %[1]s}}\nspec: {ports: [{port: 80}]}\n"
	objects := write(t, "cluster.yaml", fmt.Sprintf(service, "one")+fmt.Sprintf(service, "two"))
	for selector, want := range map[string]string{
		"app=two":       "*/two/ default_two_80|4|/two\n",
		"app notin (x)": "*/one/ default_one_80|4|/one\n*/two/ default_two_80|4|/two\n",
		"!app":          "",
	} {
		toml := write(t, "podgate.toml", strings.Replace(smallest, "[kubernetes]\n", "[kubernetes]\nselector = \""+selector+"\"\n", 1))
		stdout, stderr, code := podgate(t, "render", "--config", toml, "--from", objects)
		_, rest, _ := strings.Cut(stdout, "==> routes.map <==\n")
		got, _, _ := strings.Cut(rest, "\n==>")
		if got != want || code != 0 {
			t.Errorf("%s: code %d, %s\ngot\n%s\nwant\n%s", selector, code, stderr, got, want)
		}
		if none := `nothing is served: there is no Service that kubernetes.selector "!app" matches` + "\n"; want == "" && stderr != none {
			t.Errorf("%s: got %q, want %q", selector, stderr, none)
		}
	}
}

func TestRenderPrintsWhyNothingIsServed(t *testing.T) {
	service := func(namespace, name string) string {
		return fmt.Sprintf("---\napiVersion: v1\nkind: Service\nmetadata: {namespace: %s, name: %s}\nspec: {ports: [{port: 80}]}\n", namespace, name)
	}
	for _, row := range []struct {
		name, objects, want string
	}{
		{"no Service", "kind: Deployment\napiVersion: apps/v1", "nothing is served: there is no Service\n"},
		{"several Services for several reasons", service("default", "kubernetes") + service("shop", "cart") + service("shop", "till"),
			"nothing is served: Service default/kubernetes: it is the cluster's API server, and has no annotation of podgate\n" +
				"nothing is served: Service shop/cart and 1 more: its namespace is not in kubernetes.namespaces\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, got, code := podgate(t, "render", "--config", write(t, "podgate.toml", smallest), "--from", write(t, "cluster.yaml", row.objects))
			if got != row.want || code != 0 {
				t.Errorf("code %d, stderr (-want +got):\n%s", code, cmp.Diff(row.want, got))
			}
		})
	}
}

func TestDiffWithoutHAProxy(t *testing.T) {
	toml := write(t, "podgate.toml", smallest+"admin_socket = \"/nonexistent/admin.sock\"\nmaster_socket = \"/nonexistent/master.sock\"\n")
	stdout, stderr, code := podgate(t, "diff", "--config", toml, "--from", write(t, "cluster.yaml", cart))
	if code != exitTrouble || stdout != "" || !strings.Contains(stderr, "/nonexistent/admin.sock") {
		t.Errorf("code %d, stdout %q, stderr %q", code, stdout, stderr)
	}
	if _, stderr, code := podgate(t, "diff", "-o", "xml"); stderr != "output \"xml\" is not one of text, json\n" || code != exitTrouble {
		t.Errorf("code %d, stderr %q", code, stderr)
	}
}

func TestWrongUsage(t *testing.T) {
	for _, row := range []struct {
		args []string
		want string
	}{
		{[]string{"serve"}, `unknown command "serve" for "podgate"`},
		{[]string{"run", "now"}, `unknown command "now" for "podgate run"`},
		{[]string{"check", "--confg", "x"}, "unknown flag: --confg"},
		{[]string{"explain"}, "explain requires one Service, URL or address, such as shop/cart, not 0"},
		{[]string{"render", "--from", "/nonexistent.yaml", "--config", write(t, "podgate.toml", smallest)}, "open /nonexistent.yaml: no such file or directory"},
	} {
		if _, stderr, code := podgate(t, row.args...); strings.TrimSpace(stderr) != row.want || code != 1 {
			t.Errorf("podgate %s: got %q, code %d, want %q, code 1", row.args, stderr, code, row.want)
		}
	}
}

// TestWrongUsageHasTheExitCodeOfErrors: scripts and monitors read only the exit code, and
// 1 of these commands means that something differs, fails or is degraded.
func TestWrongUsageHasTheExitCodeOfErrors(t *testing.T) {
	for command, want := range map[string]int{"diff": exitTrouble, "preflight": exitTrouble, "status": exitUnknown, "check": 1} {
		for _, wrong := range []string{"--confg", "now"} {
			if _, stderr, code := podgate(t, command, wrong); code != want || stderr == "" {
				t.Errorf("podgate %s %s: code %d, %q, want code %d", command, wrong, code, stderr, want)
			}
		}
	}
}

func TestVersionIsOneLine(t *testing.T) {
	stdout, _, code := podgate(t, "version")
	if !strings.HasPrefix(stdout, "podgate ") || strings.Count(stdout, "\n") != 1 || code != 0 {
		t.Errorf("got %q, code %d", stdout, code)
	}
}

// TestREADMEExamples runs the examples of README.md, and of the first section of
// annotations.md.
func TestREADMEExamples(t *testing.T) {
	readme, annotations, operations := page(t, "README.md"), page(t, "packaging/doc/annotations.md"), page(t, "packaging/doc/operations.md")
	toml := write(t, "podgate.toml", block(t, readme, "toml")+smallest[strings.Index(smallest, "[haproxy]"):]+"[tcp]\nallowed_ports = [5432]\n")
	if _, stderr, code := podgate(t, "check", "--config", toml); code != 0 {
		t.Errorf("podgate.toml: %s", stderr)
	}
	service := "apiVersion: v1\nkind: Service\n" + block(t, annotations, "yaml") + "  name: cart\n  namespace: default\n" +
		"spec:\n  ports: [{name: web, port: 80}, {name: postgres, port: 5432}]\n"
	service = strings.Replace(service, `lb.ignore: "true"`, `lb.ignore: "false"`, 1)
	stdout, stderr, code := podgate(t, "render", "--config", toml, "--from", write(t, "cluster.yaml", service))
	if code != 0 || stderr != "" {
		t.Errorf("annotations: code %d, %s", code, stderr)
	}
	for _, want := range []string{"shop.example.com/cart/ ", "shop.example.com/checkout/ ", "cookie SERVERID", "balance leastconn", "http-check send meth GET uri /healthz ", "bind 0.0.0.0:5432"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("annotations: the output has no %q:\n%s", want, stdout)
		}
	}
	for _, command := range []string{"run", "check", "render", "diff", "status", "explain", "confirm", "preflight", "drain", "setup haproxy", "demo", "version"} {
		if !strings.Contains(operations, "| `podgate "+command+"` |") {
			t.Errorf("podgate %s is not in the table of commands", command)
		}
	}
}

// page reads a page of the tree.
func page(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile("../../" + path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// block returns the first code block of a language.
func block(t *testing.T, markdown, language string) string {
	t.Helper()
	_, rest, ok := strings.Cut(markdown, "\n```"+language+"\n")
	code, _, end := strings.Cut(rest, "\n```\n")
	if !ok || !end {
		t.Fatalf("no block of %s", language)
	}
	return code + "\n"
}

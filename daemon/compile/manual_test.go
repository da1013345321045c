// SPDX-License-Identifier: Apache-2.0

package compile

import (
	"net/netip"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"podgate/kubeapi"
)

const manual = "../../packaging/doc/annotations.md"

func TestTheManualHasEveryKey(t *testing.T) {
	var documented []key
	for _, m := range regexp.MustCompile("(?m)^### `(.*)`$").FindAllStringSubmatch(readManual(t), -1) {
		documented = append(documented, key(m[1]))
	}
	if diff := cmp.Diff(keys(), documented); diff != "" {
		t.Errorf("%s (-code +manual):\n%s", manual, diff)
	}
}

func TestEverySectionOfTheManualIsComplete(t *testing.T) {
	sections := regexp.MustCompile("(?m)^##+ ").Split(readManual(t), -1)
	found := 0
	for _, section := range sections {
		if !strings.HasPrefix(section, "`") {
			continue
		}
		found++
		name := strings.Trim(strings.SplitN(section, "\n", 2)[0], "`")
		for _, part := range []string{"\nValue: ", "Default:", "\n" + Prefix + name + ": \"", "\nInvalid value"} {
			if !strings.Contains(section, part) {
				t.Errorf("the section of %s has no %q", name, strings.TrimSpace(part))
			}
		}
	}
	if found != len(keys()) {
		t.Errorf("%d sections of keys, want %d", found, len(keys()))
	}
}

// TestTheExamplesOfTheManualAreValid compiles each example line on its own.
func TestTheExamplesOfTheManualAreValid(t *testing.T) {
	examples := regexp.MustCompile(`(?m)^ *(`+regexp.QuoteMeta(Prefix)+`\S+): "(.*)"$`).FindAllStringSubmatch(readManual(t), -1)
	if len(examples) < len(keys()) {
		t.Fatalf("%d examples, less than there are keys", len(examples))
	}
	cfg := testConfig()
	cfg.TCP.AllowedPorts[0].Last = 5999
	cfg.HTTPS.Binds = []netip.AddrPort{netip.MustParseAddrPort("0.0.0.0:443")}
	files := &Machine{Files: &TLSFiles{BackendCAs: map[string]string{"internal": "/folder/ca.pem"}}}
	for _, example := range examples {
		svc := &kubeapi.Service{
			Key:         kubeapi.Key{Namespace: "default", Name: "gateway"},
			Annotations: map[string]string{example[1]: example[2]},
			Ports:       []kubeapi.ServicePort{{Name: "servlet-https", Port: 9443}},
		}
		if _, suffix, _ := strings.Cut(strings.TrimPrefix(example[1], Prefix), "."); suffix != "" && suffix != "servlet-https" {
			svc.Ports[0] = kubeapi.ServicePort{Name: suffix, Port: 8280}
		}
		switch name, _, _ := strings.Cut(strings.TrimPrefix(example[1], Prefix), "."); key(name) {
		case keyRedirectHTTPS, keyHSTS, keyBackendVerify, keyTLSSecret:
			svc.Annotations[Prefix+string(keySSLTerm)] = "true"
		case keyCookieName:
			svc.Annotations[Prefix+string(keyCookie)] = "true"
		case keyPassthrough:
			svc.Annotations[Prefix+string(keyHost)] = "shop.example.com"
		}
		for _, p := range Compile(cfg, files, &kubeapi.Snapshot{Services: []*kubeapi.Service{svc}}, nil).Problems {
			t.Errorf("%s: %q: %s", example[1], example[2], p)
		}
	}
}

// refusedKeys lists the keys of forks of service-loadbalancer that are not supported.
func refusedKeys() []key {
	return []key{"http", keyNode, "frontendHttp", "frontendHttps", "redirectWWW", "url-param-sticky-session", "stick-table-params"}
}

func TestTheManualHasTheKeysOfForks(t *testing.T) {
	text, err := os.ReadFile("../../packaging/doc/migrating.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, k := range append(forkKeys(), refusedKeys()...) {
		if !strings.Contains(string(text), "`"+string(k)+"`") && !strings.Contains(string(text), "`"+string(k)+": ") {
			t.Errorf("migrating.md does not have %s", k)
		}
	}
	for _, k := range refusedKeys() {
		if _, _, refused := k.refused("true"); !refused || k.known() {
			t.Errorf("%s is not refused", k)
		}
	}
}

func readManual(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(manual)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

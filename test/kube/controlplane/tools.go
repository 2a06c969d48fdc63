//go:build tools

// Package controlplane names the commands that `make e2e-kube` builds, so that go.mod keeps what they need.
package controlplane

import (
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
)

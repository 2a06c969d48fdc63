package main

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// version is set by the Makefile (-ldflags -X main.version=…).
var version string

type versionCmd struct{}

func (versionCmd) Help() string {
	return "Prints the version, the Go release that built it and the platform.\n\nExample:\n\n  trailward version"
}

func (c *versionCmd) Run(a *app) error {
	_, err := fmt.Fprintf(a.stdout, "trailward %s (%s, %s/%s)\n", buildVersion(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// buildVersion is the version that the build was told, else what Go recorded
// of the checkout.
func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 {
			return "0-" + s.Value[:12]
		}
	}
	if info.Main.Version != "" {
		return info.Main.Version
	}
	return "unknown"
}

package hosting

import (
	"debug/elf"
	"fmt"
	"os"
	"runtime"
)

// describeMachine says for which machine a program is, where this one does not run it.
func describeMachine(path string) string {
	here := runtime.GOOS + "/" + runtime.GOARCH
	file, err := os.Open(path)
	if err != nil {
		return here
	}
	defer func() { _ = file.Close() }()
	var magic [4]byte
	if _, err := file.ReadAt(magic[:], 0); err != nil {
		return here
	}
	switch string(magic[:]) {
	case "\xcf\xfa\xed\xfe", "\xca\xfe\xba\xbe":
		return here + ": it was built for macOS; build it with GOOS=linux"
	case "\x7fELF":
	default:
		if magic[0] == 'M' && magic[1] == 'Z' {
			return here + ": it was built for Windows; build it with GOOS=linux"
		}
		return here
	}
	program, err := elf.NewFile(file)
	if err != nil {
		return here
	}
	architectures := map[elf.Machine]string{
		elf.EM_X86_64: "amd64", elf.EM_AARCH64: "arm64", elf.EM_386: "386", elf.EM_ARM: "arm", elf.EM_RISCV: "riscv64",
		elf.EM_PPC64: "ppc64le", elf.EM_S390: "s390x",
	}
	built, known := architectures[program.Machine]
	if !known {
		built = program.Machine.String()
	}
	return fmt.Sprintf("%s: it was built for %s; build it with GOARCH=%s", here, built, runtime.GOARCH)
}

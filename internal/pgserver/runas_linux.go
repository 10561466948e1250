package pgserver

import "syscall"

// innerID is what root is called inside the namespace: any number but 0.
const innerID = 1000

// rootElsewhere is root in a user namespace where it has another number. To everybody outside the process is still
// root's, so files, signals and sockets work as if there were no namespace; inside, it has no privilege left.
func rootElsewhere() (runAs, bool) {
	return runAs{
		name: "root in a user namespace", uid: 0, gid: 0,
		apply: func(a *syscall.SysProcAttr) {
			a.Cloneflags |= syscall.CLONE_NEWUSER
			a.UidMappings = []syscall.SysProcIDMap{{ContainerID: innerID, HostID: 0, Size: 1}}
			a.GidMappings = []syscall.SysProcIDMap{{ContainerID: innerID, HostID: 0, Size: 1}}
		},
	}, true
}

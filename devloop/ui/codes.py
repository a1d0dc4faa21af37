"""The catalogue of error codes: what each means, and what to do. `devloop explain CODE` prints it.

Codes are stable: one that was published keeps its meaning. Hundreds go by what is concerned: 01 the command line,
02 devloop.yaml, 03 this machine, 04 who owns what, 05 the link, 06 the agent, 07 the cluster, 08 the pod that the agent
is put into, 09 devloop itself, 10 Argo CD.
"""

from __future__ import annotations

from typing import Final, NamedTuple


class Code(NamedTuple):
    """One error.

    Attributes:
        title: What happened, in a few words.
        meaning: What that means, and how it comes about.
        action: What to do.
    """

    title: str
    meaning: str
    action: str


CODES: Final[dict[str, Code]] = {
    "DL0001": Code(
        "something went wrong",
        "An error that has no code of its own. Its message says what happened.",
        "Read the message and its hint. With -v devloop says more of what it does.",
    ),
    "DL0100": Code(
        "the command line is wrong",
        "A verb or an option does not exist, a value is missing, or two options exclude each other. Nothing was done.",
        "`devloop --help` lists the verbs, `devloop VERB --help` the options of one.",
    ),
    "DL0101": Code(
        "no such service",
        "The command names a service that devloop.yaml does not have, or that is not being watched.",
        "Check the name: `devloop status` lists what is watched.",
    ),
    "DL0102": Code(
        "a service without an app",
        "The service has no `command`, so there is nothing that devloop could restart.",
        "Give it `command:` and `reload: supervise`, or restart the app yourself.",
    ),
    "DL0103": Code(
        "no workload that devloop knows",
        "A workload is written KIND/NAME, and the kind is one of deployment, statefulset, daemonset, rollout and pod.",
        "Correct `workload:` of the service, or name its pods with `selector:`.",
    ),
    "DL0200": Code(
        "devloop.yaml is wrong",
        "The file, or something that it refers to, cannot be used. The message says where: file:line:column.",
        "Mend that place. `devloop config validate` checks the file without doing anything else.",
    ),
    "DL0201": Code(
        "there is no devloop.yaml, or it cannot be read",
        "The file is searched in the current folder and those above it, up to the end of the file system and not "
        "into the home folder. --file or DEVLOOP_FILE name one directly.",
        "Change to the project's folder, run `devloop init` to write one, or name it with --file.",
    ),
    "DL0202": Code(
        "the file is not YAML as devloop reads it",
        "The text has a mistake in its syntax, is not UTF-8, gives a key twice, uses tags, or is too large or deep.",
        "Mend the place that the message names. Indent with spaces, and quote values that hold ': ' or begin with a "
        "character such as @, *, & or !.",
    ),
    "DL0203": Code(
        "an unknown key",
        "devloop.yaml has a key that means nothing at that place. It may be misspelt, indented too little or too "
        "much, or belong to a newer devloop.",
        "The hint names the nearest key, or those that are known there. `devloop config schema` describes them all.",
    ),
    "DL0204": Code(
        "a value does not fit",
        "A value has the wrong type or form, or a key that is needed is missing. Values are read by what their key "
        "needs: `on` and 22:22 stay text, and only true and false are booleans.",
        "Write it as the hint shows. `devloop config schema` describes every key.",
    ),
    "DL0205": Code(
        "a variable in devloop.yaml cannot be replaced",
        "${NAME} stands for an environment variable, ${NAME:-default} for it or a default, and $$ for a dollar sign. "
        "Here the variable is not set, or the text between the braces is something else.",
        "Set the variable, give it a default, or write $${ where the two characters themselves are meant.",
    ),
    "DL0206": Code(
        "a `from` folder cannot be synced",
        "The folder is missing, is not a folder, may not be read, or the local target lies in it. The sync does not "
        "run, and nothing is deleted in the target.",
        "Mend the path or the folder's rights. The sync starts by itself when the folder is back.",
    ),
    "DL0207": Code(
        "two parts of devloop.yaml contradict each other",
        "Each part is right by itself, but not together: two syncs fill one folder, a target lies in a `from` folder, "
        "two forwards want one local port, or a reload mode lacks what it needs.",
        "Change one of the two. The hint says which change helps.",
    ),
    "DL0208": Code(
        "devloop.yaml has no version that this devloop reads",
        "`version: 1` says which language the file is written in. It is missing, or belongs to another devloop.",
        "Add `version: 1` at the top, or install the devloop that the file was written for.",
    ),
    "DL0209": Code(
        "devloop.yaml exists already",
        "`devloop init` does not overwrite a file that is there.",
        "Edit it, or run `devloop init --force` to replace it.",
    ),
    "DL0210": Code(
        "nothing to watch",
        "devloop.yaml is valid, but it has no services.",
        "Add one under `services:`; `devloop init` in an empty folder shows how.",
    ),
    "DL0300": Code(
        "something on this machine does not work",
        "The laptop's disk, a process or a limit of the system is in the way. The message says which.",
        "Follow the hint. Nothing in the target was changed.",
    ),
    "DL0310": Code(
        "a folder that devloop refuses",
        "A sync may not read from or write to this folder: a local target must be empty or made by devloop, the two "
        "sides may not contain each other, and folders of the system are never a target.",
        "Name another folder. For a local target, a new one such as ./.devloop/NAME.",
    ),
    "DL0320": Code(
        "git could not be read",
        "The repository's index or configuration cannot be read, so it is not known what git ignores.",
        "Run `git status` in the folder: it says what is wrong. Nothing is synced until it works.",
    ),
    "DL0330": Code(
        "inotify watches ran out",
        "The system allows each user so many watched folders in all programs together. devloop polls what it "
        "cannot watch, which is slower.",
        "Raise the limit with the printed sysctl line, or ignore folders that need not be synced.",
    ),
    "DL0331": Code(
        "inotify instances ran out",
        "Too many programs of this user watch something, so the folder is polled.",
        "Raise fs.inotify.max_user_instances with the printed sysctl line, or close some programs.",
    ),
    "DL0332": Code(
        "this way of watching is not to be had",
        "The system offers no events for this folder, or refuses them, so it is polled, which is slower.",
        "Follow the hint. `watch: {backend: polling}` in devloop.yaml asks for polling outright.",
    ),
    "DL0340": Code(
        "nothing watches this project",
        "The command asks the process that `devloop watch` started, and there is none for this project.",
        "Run `devloop watch`, or name the project with `--file`.",
    ),
    "DL0341": Code(
        "the watching process does not answer",
        "It is there, but did not answer in time.",
        "Try again. `devloop stop --force` ends it; nothing is lost, because the disk is the truth.",
    ),
    "DL0342": Code(
        "the background watch ended",
        "`devloop watch --detach` started it, and it ended before it was in sync.",
        "Its last lines are printed above; `devloop watch` in the foreground shows everything.",
    ),
    "DL0350": Code(
        "the demo failed",
        "A step of `devloop demo` did not come to its end.",
        "Run it again with `--keep` and look at the project that it made.",
    ),
    "DL0351": Code(
        "the demo needs git",
        "`devloop demo` makes a git project and switches its branches, and there is no git on the PATH.",
        "Install git. devloop itself works without it; it then reads the ignore files by itself.",
    ),
    "DL0360": Code(
        "an editor's file cannot be understood",
        "`devloop ide` adds its entries to files that an editor has, and one of them is broken: not JSON with "
        "comments, not XML, not UTF-8, or it has something else where a list belongs. The message says where. Nothing "
        "was written.",
        "Mend that place, or move the file away and run the command again.",
    ),
    "DL0361": Code(
        "an editor's file cannot be written",
        "A file that `devloop ide` reads or writes, or its folder, is not usable: no rights, something else in its "
        "place, or a link that leads out of the workspace.",
        "Follow the hint. Files that were named as written before are whole.",
    ),
    "DL0370": Code(
        "a local port is taken",
        "Another program on this machine listens on the port that a forward is to have. It is tried again until the "
        "port is free; everything else goes on.",
        "End that program (`ss -ltnp` names it), choose another local port, or a range: 8000-8010:80.",
    ),
    "DL0371": Code(
        "a local port belongs to root",
        "Ports below 1024 may only be used by root, and devloop needs and wants no such right.",
        "Choose another local port, such as 8080:80.",
    ),
    "DL0372": Code(
        "an address is not this machine's",
        "A forward names an address of the laptop to listen on, and this machine does not have it.",
        "Leave the address out for localhost, or write one that `ip addr` shows.",
    ),
    "DL0373": Code(
        "no such forward, or one too many",
        "What is to be removed is not forwarded, or what is to be added is forwarded already.",
        "`devloop ports` lists what is forwarded, and at which local port.",
    ),
    "DL0400": Code(
        "someone else owns this",
        "Another session or another devloop holds the service or the project. Two at once would undo each other.",
        "Ask the owner whom the message names, or take it over in the way that the hint shows.",
    ),
    "DL0500": Code(
        "the link to the agent failed",
        "The connection to the agent could not be made, or ended and did not come back in time. What was acknowledged "
        "is safe; the rest is sent when the link is back.",
        "Check that the target runs: `devloop status`. devloop goes on trying by itself while it watches.",
    ),
    "DL0510": Code(
        "the key was not proved",
        "Laptop and agent each prove that they know the agent's key. One could not: the key is of another agent, or "
        "you may not read it.",
        "Start the session again so that the key is read anew. In a cluster, check that you may create pods/exec.",
    ),
    "DL0520": Code(
        "laptop and agent speak different versions",
        "The major versions of their protocol differ, so neither can be sure what the other means.",
        "Install the same devloop on both sides; the hint says which side is older.",
    ),
    "DL0530": Code(
        "the protocol was broken",
        "The two sides did not understand each other. The link was ended before anything could be applied wrongly.",
        "It is made again by itself. If it goes on, please report it with the output of -vv.",
    ),
    "DL0531": Code(
        "this side was about to break the protocol",
        "A bug in devloop, found before anything was sent.",
        "Please report it with the output of -vv.",
    ),
    "DL0532": Code(
        "the peer broke the protocol",
        "What came from the other side is not allowed, or was damaged on the way: a frame too large, a path that "
        "leaves its root, bytes that are no message.",
        "The link is made again by itself. If it goes on, something between the two sides changes the data, or "
        "something other than an agent answers.",
    ),
    "DL0600": Code(
        "the agent refused or failed",
        "The agent could not start, or could not do its part. Its own words are in the message.",
        "Follow the hint. The target's files are whole: each is either the old or the new one.",
    ),
    "DL0601": Code(
        "the agent did not start in time",
        "The agent's process was started and has not said that it is ready.",
        "See its log, which the message names. A very large target takes time to be verified.",
    ),
    "DL0602": Code(
        "the agent ended at once",
        "The agent's process ended before it was ready.",
        "See its log, which the message names.",
    ),
    "DL0603": Code(
        "the agent cannot be started",
        "The system refused to start the agent's process, or to open its log.",
        "Follow the message: it is about the log's folder, or about Python itself.",
    ),
    "DL0604": Code(
        "no key to talk to the agent",
        "The file with the agent's key is missing or not yours to read.",
        "See that the agent runs, and that you are the user that it runs as.",
    ),
    "DL0605": Code(
        "the agent has no place for its state",
        "The folder for the agent's own state cannot be written.",
        "Make it writable for the user that the message names.",
    ),
    "DL0606": Code(
        "the agent cannot listen",
        "The socket or port that the agent was told to listen on is not to be had. In a pod that is port 7460 of its "
        "loopback: one of the app's own processes has taken it. Nothing was sent to that process.",
        "End what uses it, or let it use another port.",
    ),
    "DL0607": Code(
        "another agent is at work there",
        "The target's folder is served by another agent: another project's, or one that does not end.",
        "Stop the watch that it belongs to, or give this service a target of its own.",
    ),
    "DL0608": Code(
        "the agent's allow list cannot be read",
        "What `--allow-dial`, or `allowDial` in the chart's values, lists is neither a name nor a network.",
        "Write `*.namespace`, `service.namespace:5432`, `db.example.com`, `10.0.0.0/8:5432` or `[fd00::/8]:443`.",
    ),
    "DL0610": Code(
        "the target cannot be written",
        "The agent is there, but a folder that it should keep in sync cannot be written.",
        "Make the folder writable for the user that the message names.",
    ),
    "DL0611": Code(
        "the agent has other folders",
        "The agent was started for other syncs than those of devloop.yaml.",
        "Stop the watch and start it again; in a pod, inject the agent again.",
    ),
    "DL0612": Code(
        "the agent refused",
        "The agent could not answer a request. The message says why.",
        "Follow the message; `devloop status` shows how the target stands.",
    ),
    "DL0613": Code(
        "too large to pull",
        "A file that `pull:` names is larger than devloop takes over.",
        "Narrow the pattern, or copy the file by hand.",
    ),
    "DL0614": Code(
        "not a file to pull",
        "The file is not one that `pull:` asks for, or it changed while it was read.",
        "Run `devloop pull` again.",
    ),
    "DL0620": Code(
        "a connection from the pod could not be made",
        "What a forward, the proxy or a reverse port was to connect to refused, is not known by that name on the pod's "
        "side, cannot be reached from there, or may not be dialled by the agent. Only that connection has ended.",
        "The message names the place and the reason. Where a rule forbids it, whoever installed devloop in the cluster "
        "can allow more.",
    ),
    "DL0621": Code(
        "nobody carried a connection",
        "A connection to a forwarded port waited for a pod, and none came in time. The listener stays open, and the "
        "next connection is tried anew.",
        "`devloop status` says why there is no pod. `hold:` in devloop.yaml says how long connections wait.",
    ),
    "DL0700": Code(
        "the cluster failed",
        "The API server answered a request with an error that has no code of its own.",
        "Read the message: it holds the API server's own words. With -v devloop says more of what it does.",
    ),
    "DL0710": Code(
        "the kubeconfig cannot be used",
        "No kubeconfig was found, it is not valid, or it lacks the context, cluster or user that it refers to.",
        "`kubectl config view` shows what kubectl sees. --kubeconfig, KUBECONFIG and --context choose another.",
    ),
    "DL0711": Code(
        "another context than the project's",
        "devloop.yaml names the kube context that the project belongs to, and the chosen one differs. Nothing was sent "
        "to either cluster.",
        "Choose the project's context with --context, or change `context:` in devloop.yaml or devloop.local.yaml.",
    ),
    "DL0712": Code(
        "the kubeconfig asks for what devloop cannot do",
        "A setting of the kubeconfig, such as a SOCKS proxy or an old kind of auth provider, is not supported. devloop "
        "does not go on without it.",
        "Follow the hint. Most providers have an exec plugin today, which works.",
    ),
    "DL0720": Code(
        "the API server does not know you",
        "It answered 401, also after the credentials were asked for anew: they are wrong, expired or of another "
        "cluster.",
        "Log in again, in the way that your cluster asks for; `kubectl auth whoami` shows when it worked.",
    ),
    "DL0721": Code(
        "you may not do this",
        "The API server answered 403: the role that you have in the namespace lacks the verb that the message names.",
        "Ask whoever runs the cluster for it; the hint holds the line that tests it. docs/install-ops.md lists what "
        "devloop needs.",
    ),
    "DL0722": Code(
        "the credential plugin failed",
        "The kubeconfig names a program that gives the credentials, and it is missing, failed, took too long, or gave "
        "what is no credential.",
        "Run the program by hand, or `kubectl get pods`, which uses it as well. Often one must log in anew.",
    ),
    "DL0730": Code(
        "it does not exist in the cluster",
        "The object, its namespace or its kind is not there. The hint names those with a similar name.",
        "Check the name, the namespace and the context.",
    ),
    "DL0731": Code(
        "the API server refused a change",
        "The object is not valid for it, a quota is used up, or an admission rule denies it. Nothing was changed.",
        "Read the message: it holds the API server's own words.",
    ),
    "DL0732": Code(
        "somebody else was faster",
        "The object was changed by somebody else between reading and writing, or exists already.",
        "Run the command again: it reads the object anew.",
    ),
    "DL0740": Code(
        "the API server does not answer",
        "No connection could be made, it was cut, or no answer came in time.",
        "Check the network and the VPN: `kubectl version` shows when it works. A watching devloop goes on by itself.",
    ),
    "DL0741": Code(
        "the API server's name is unknown",
        "The host name in the kubeconfig cannot be resolved.",
        "Check the network, the VPN and the name in the kubeconfig.",
    ),
    "DL0742": Code(
        "no trusted connection to the API server",
        "TLS failed: the certificate is of another authority or name, has expired, or what answers does not speak TLS.",
        "Check certificate-authority, tls-server-name and the clock, and whether a proxy replaces certificates.",
    ),
    "DL0743": Code(
        "something else answers in the API server's place",
        "The answer is not one of Kubernetes: a login page, a proxy's error, damaged data.",
        "Check `server` and `proxy-url` in the kubeconfig, and the VPN.",
    ),
    "DL0744": Code(
        "the API server is overloaded or starting",
        "It answered that it cannot do this now.",
        "Wait a little. A watching devloop tries again by itself.",
    ),
    "DL0750": Code(
        "a port-forward failed",
        "The connection through the API server to the pod could not be made, ended, or is silent.",
        "Check that the pod runs. A watching devloop makes a new one by itself.",
    ),
    "DL0751": Code(
        "a command could not be run in a container",
        "The container is not running, has no such program, or the command did not end in time.",
        "Check the pod with `kubectl describe pod`; the message holds the words of the container runtime.",
    ),
    "DL0752": Code(
        "a command was not started in its container",
        "The container does not run, or its image has no such program. Nothing was run.",
        "Follow the hint. `devloop shell` shows what is in the container, by devloop's own busybox where the image has "
        "no shell.",
    ),
    "DL0753": Code(
        "the connection to a running command was cut",
        "The network, the API server, the node or the pod went away while the command ran. What came until then was "
        "given out; how the command ended is not known, and it may still run.",
        "Look whether the pod is there with `devloop status` or `kubectl get pods`, and run the command again.",
    ),
    "DL0760": Code(
        "no pod to sync to",
        "The workload has no pods, or none of them has an agent in it. devloop goes on looking; with --once it gives "
        "up after a while.",
        "Scale the workload up, or put the agent into its manifests with `devloop inject`. `devloop doctor` tells "
        "more.",
    ),
    "DL0761": Code(
        "the agent of a pod does not run",
        "The pod is there and its agent's container is not running: the message says what the kubelet says of it. It "
        "may be another container that must run before it, such as the one that seeds from the app's image.",
        "`kubectl describe pod` tells more: an image that cannot be pulled, a volume. devloop goes on by itself once "
        "it is mended; with --once it ends.",
    ),
    "DL0762": Code(
        "the agent of a pod gives no key",
        "The command that reads the key failed in the agent's container. Most often its image is not devloop's, or "
        "of another version.",
        "Compare the image of container devloop-agent with `devloop --version`.",
    ),
    "DL0763": Code(
        "a workload without a selector",
        "The workload selects no pods by labels, so devloop cannot tell which ones are its own.",
        "Name them with `selector: {LABEL: VALUE}` in place of `workload`.",
    ),
    "DL0764": Code(
        "the app in a pod does not stay up",
        "A container of the app ends again and again, and the kubelet waits longer and longer before it starts it anew "
        "(at most five minutes). What is saved is synced meanwhile all the same.",
        "See why with `kubectl logs --previous`, and save the fix. With `reload: supervise` the app is started as soon "
        "as the fix is there.",
    ),
    "DL0765": Code(
        "a service that a port-forward does not reach",
        "The service has no such port, is an alias of something outside of the cluster (ExternalName), or leads to "
        "addresses that are no pods. Without an agent, port-forwards reach pods only.",
        "Follow the hint. With an agent in the namespace, more can be reached: see docs/ports.md.",
    ),
    "DL0780": Code(
        "Argo CD keeps this workload",
        "The workload belongs to an Application. Argo CD would show a patch as OutOfSync, or undo it, so devloop does "
        "not make one.",
        "Put the agent into the manifests with `devloop inject`, or let the Application ignore the manager devloop.",
    ),
    "DL0781": Code(
        "the pods do not come up with the agent",
        "The workload was patched, and its new pods cannot run: an image, a quota, a policy. It was put back.",
        "Mend what the message names. Where the nodes cannot pull the agent's image, name one with --agent-image.",
    ),
    "DL0782": Code(
        "a workload that cannot be patched",
        "Only Deployments, StatefulSets and DaemonSets have a pod template whose change rolls out by itself.",
        "Follow the hint: another workload, the manifests, or `devloop watch --attach`.",
    ),
    "DL0783": Code(
        "a workload that changes all the time",
        "Each time devloop looked and then changed the template, something else had changed it in between.",
        "Find out what does: `kubectl get -o yaml --show-managed-fields` names it.",
    ),
    "DL0784": Code(
        "a lease that cannot be understood",
        "The lease tells how to undo a patch, and was made by another version of devloop or changed by somebody.",
        "Use the devloop that made it, or put the workload back from its manifests and delete the lease.",
    ),
    "DL0785": Code(
        "a pod that may not be evicted now",
        "A PodDisruptionBudget forbids to take this pod away. devloop never deletes a pod to get around one.",
        "Try again when more pods of the workload are ready, or scale it up.",
    ),
    "DL0786": Code(
        "no agent can be attached to this pod",
        "An ephemeral container shares the app's processes and files as they are, so some pods and some settings of "
        "the service do not go with it. The message names the reason.",
        "Follow the hint. docs/how-it-gets-in.md has the table of what goes with which way in.",
    ),
    "DL0787": Code(
        "the claim of `persist:` cannot be had",
        "Folders that outlive the pod are in a PersistentVolumeClaim `devloop-SERVICE` of the cluster's default "
        "StorageClass. A quota or a policy forbids it, no volume is made for it, or the last one is being deleted.",
        "The message has the cluster's own words. `persist_size:` says how large it is; a claim of that name that "
        "somebody else makes is used as it is.",
    ),
    "DL0790": Code(
        "a container that has printed nothing yet",
        "Its log was asked for before the container was started for the first time.",
        "`devloop logs --follow` waits for it; `kubectl describe pod` tells what it waits for.",
    ),
    "DL0791": Code(
        "there was no run before this one",
        "`--previous` asks for what a container printed before its last restart, and it was not restarted.",
        "Leave --previous out. A pod that was replaced has taken its logs along.",
    ),
    "DL0792": Code(
        "the node has removed this log",
        "Kubernetes keeps one ended run of a container at most, and only as long as its pod is there.",
        "Follow the logs while they are printed, or look into the cluster's own store of logs.",
    ),
    "DL0801": Code(
        "not a pod that Kubernetes would take",
        "The pod template in a manifest lacks something, or has something of another type than Kubernetes expects.",
        "Mend the place that the message names; `kubectl apply --dry-run=server` says what else is wrong.",
    ),
    "DL0802": Code(
        "which container?",
        "The pod has several containers and the service does not say which one is meant, or it has none of that name.",
        "Add `container: NAME` to the service. The message lists the names.",
    ),
    "DL0803": Code(
        "which user does the app run as?",
        "What the agent writes must belong to the app's user. Neither the pod nor devloop.yaml says who that is, and "
        "the image is not asked.",
        "Add `run_as: UID` or `run_as: UID:GID` to the service, or runAsUser to the pod's securityContext. "
        "`kubectl exec POD -- id` shows both.",
    ),
    "DL0804": Code(
        "remains of an earlier injection",
        "The pod has parts of devloop in it and no annotation that tells how to undo them, or one that this devloop "
        "does not understand.",
        "Inject the original manifest. With the devloop that made this one, `devloop inject --uninject` takes it back.",
    ),
    "DL0805": Code(
        "a pod that is left alone",
        "Jobs, pods on the node's own network, pods for Windows, and pods that use the agent's port get no agent.",
        "Follow the hint; the message names what is in the way.",
    ),
    "DL0806": Code(
        "a folder of the pod cannot be synced to",
        "The folder belongs to the system, overlaps with another one, or lies in a volume that cannot be written or "
        "that the agent cannot mount in the same way.",
        "Sync to another folder, or mount that volume writable.",
    ),
    "DL0807": Code(
        "the app cannot be run as asked",
        "The launcher must know the command, and a pod whose command is its image's own does not tell it. Other "
        "settings of the service need the launcher or contradict the pod's mounts.",
        "Follow the hint: most often, add `command:` with what the image's ENTRYPOINT and CMD say.",
    ),
    "DL0810": Code(
        "the manifests are not YAML",
        "What `devloop inject` was given cannot be read. The message says where: file:line:column.",
        "Mend that place. Templates have to be rendered first, by `helm template` or `kustomize build`.",
    ),
    "DL0811": Code(
        "kustomize cannot patch this",
        "A kustomize component merges lists by name, which kustomize does for Kubernetes' own kinds only.",
        "Run `devloop inject -f -` behind `kustomize build`, or let Ops install the webhook.",
    ),
    "DL0812": Code(
        "no such workload in the manifests",
        "None of the workloads in the input is one that devloop.yaml names, or none has the agent in it. Nothing was "
        "printed.",
        "Compare the names: the hint lists what is there. A namespace in the manifest must be the project's.",
    ),
    "DL0820": Code(
        "a session is refused",
        "The webhook in the cluster refuses the DevSession that the service asks for: it names a folder or a kind of "
        "workload that no session may have, or its author may not exec in the namespace.",
        "Follow the message. `kubectl auth can-i create pods --subresource=exec` asks for the right that it takes.",
    ),
    "DL0821": Code(
        "the webhook does not answer",
        "The cluster knows DevSessions, but the webhook that has to look at them is away, or was taken out. Pods come "
        "without an agent meanwhile; nothing is blocked.",
        "Tell whoever runs the cluster: `kubectl get pods -A -l app.kubernetes.io/name=devloop-admission`.",
    ),
    "DL0999": Code(
        "a bug in devloop",
        "Something happened that devloop was not written for. The traceback is in the file that the hint names.",
        "Please report it with that file; it holds no arguments and no variables.",
    ),
    "DL1001": Code(
        "no Argo CD in the cluster",
        "The cluster does not know the kind Application, so there is no Argo CD, or it runs in another cluster and "
        "deploys to this one.",
        "Check the context. Where Argo CD runs elsewhere, name its server as argocd.server in devloop.yaml. Everything "
        "but `devloop env` works without it.",
    ),
    "DL1002": Code(
        "a sync is running already",
        "Argo CD syncs an Application once at a time, and one is under way or asked for.",
        "Wait for it with `devloop env wait`, or end it with `devloop env terminate`.",
    ),
    "DL1003": Code(
        "no sync is running",
        "There is nothing to end: the last sync is over.",
        "`devloop env status` shows how it ended.",
    ),
    "DL1004": Code(
        "nobody here can render",
        "What an Application's templates come to is known to Argo CD's own server, or found out by kustomize or helm "
        "on this machine. Neither is at hand.",
        "Name the server as argocd.server in devloop.yaml, or install the tool that the templates need.",
    ),
    "DL1010": Code(
        "no such Application",
        "None of the Applications that you may read has this name.",
        "Take one of the names in the hint. One in another namespace than Argo CD's is written NAMESPACE/NAME.",
    ),
    "DL1011": Code(
        "several Applications of this name",
        "Since Argo CD 2.5 Applications may be in any namespace, and two of them have the same name.",
        "Write NAMESPACE/NAME, or set argocd.namespace in devloop.yaml.",
    ),
    "DL1012": Code(
        "no Application belongs to this project",
        "None of the Applications that you may read renders the workloads of devloop.yaml, and it names none.",
        "Name it as argocd.application. docs/env.md tells which Applications are a project's environment.",
    ),
    "DL1013": Code(
        "no such page",
        "`devloop env open` knows Argo CD's page, the repository's, and those of argocd.links in devloop.yaml; a link "
        "with {pod} needs a pod that runs.",
        "Take a name of the hint, or say where Argo CD is: argocd.server or argocd.url.",
    ),
    "DL1020": Code(
        "a lease on Applications that cannot be understood",
        "It was made by another version of devloop, was changed by hand, or asks for what a lease may not change. "
        "Nothing was done with it.",
        "Use the devloop that made it, or look at it with kubectl: it says which field had which value before.",
    ),
    "DL1021": Code(
        "no source, or several, that could be switched",
        "A branch can be chosen for a source in git. A chart has versions, and where an Application has sources of "
        "several repositories it must be said which one is meant.",
        "Name the source with --source, or name the checkout of your templates as argocd.templates in devloop.yaml.",
    ),
    "DL1022": Code(
        "several leases on Applications",
        "What is to be changed is under more than one lease of yours, which cannot become one.",
        "Give them back with `devloop env restore`, and begin anew.",
    ),
    "DL1023": Code(
        "a change of several Applications is half made",
        "One of them could not be changed, and what was changed before could not be taken back either. The lease that "
        "says how everything was is still there.",
        "`devloop env restore` puts everything back.",
    ),
    "DL1024": Code(
        "git did not do what was asked",
        "git is not installed, cannot reach the repository, or waits for a login that nobody gives.",
        "Run the same git command by hand, and log in there.",
    ),
    "DL1025": Code(
        "no such branch",
        "The branch, or tag, is not in the repository that the Application would follow it in, or that could not be "
        "found out. Nothing was changed.",
        "Push the branch first. `--unchecked` goes on without knowing.",
    ),
    "DL1026": Code(
        "the AppProject does not allow the repository",
        "Argo CD lets an Application have only the repositories that its AppProject lists. Nothing was changed.",
        "Ask Ops to add the fork to spec.sourceRepos of the AppProject.",
    ),
    "DL1027": Code(
        "something else owns the Application",
        "An ApplicationSet, a parent Application or a promotion tool writes the fields that would be changed, and "
        "would change them back. Nothing was changed.",
        "The hint has the YAML by which Ops can allow it. `--force` goes on, and says when it was changed back.",
    ),
    "DL1028": Code(
        "the switch was changed back",
        "Somebody or something wrote another value within moments. devloop does not fight over it.",
        "Close the lease with `devloop env restore`, which leaves the Application as it is, and let Ops allow the "
        "change.",
    ),
    "DL1040": Code(
        "no usable login to Argo CD",
        "The address of Argo CD's server is not one that a token may be sent to, or the login that the argocd command "
        "keeps cannot be read.",
        "Write argocd.server with https, and log in with `argocd login`, or set ARGOCD_AUTH_TOKEN.",
    ),
    "DL1041": Code(
        "something else answers in place of Argo CD",
        "What came from argocd.server is not what Argo CD's API says: often a login page, or a path such as /argocd is "
        "missing in the address.",
        "Open the address in a browser, and correct argocd.server.",
    ),
    "DL1042": Code(
        "Argo CD does not know you",
        "The token is missing, has ended, or belongs to another server.",
        "Log in with `argocd login SERVER`, or set ARGOCD_AUTH_TOKEN.",
    ),
    "DL1043": Code(
        "Argo CD's server cannot be reached",
        "The server does not answer, not in time, or its certificate is not trusted.",
        "Check argocd.server, the network and the VPN. Without argocd.server devloop asks the Kubernetes API instead.",
    ),
    "DL1044": Code(
        "an Application was waited for in vain",
        "The time is over, and an Application is not as wanted yet. The message says what is missing. Nothing was "
        "undone.",
        "`devloop env status` shows how it stands. Wait again with a longer --timeout.",
    ),
    "DL1045": Code(
        "an Application broke while it was waited for",
        "Its sync failed, what it runs became Degraded, or Argo CD cannot render its templates.",
        "`devloop env status` shows what Argo CD says. Mend the templates, or go back with `devloop env restore`.",
    ),
    "DL1060": Code(
        "no usable checkout of the templates",
        "argocd.templates is not said, or is no clone of a repository with a remote.",
        "Clone the templates repository and name the folder as argocd.templates in devloop.yaml.",
    ),
    "DL1061": Code(
        "something in the templates is not committed",
        "What is not committed is neither pushed nor proposed, and other commits could not be taken in beneath it.",
        "Commit it, or put it away with `git stash`. `env pull-upstream --autostash` does the latter for you.",
    ),
    "DL1062": Code(
        "no branch of your own",
        "The templates checkout is on upstream's default branch or on none, or its branch has nothing to propose.",
        "Make a branch with `git switch -c NAME`, commit to it, and try again.",
    ),
    "DL1063": Code(
        "the branch was not pushed",
        "The repository has commits of the branch that yours has not, or a rule of it refuses the branch.",
        "Take those commits in with `git pull`. After a rebase of your own, --force-with-lease overwrites what you "
        "have seen of it.",
    ),
    "DL1064": Code(
        "git waits for you",
        "A rebase or a merge in the templates checkout is begun and not finished.",
        "Resolve what is left and continue it, or abort it; `git status` there says how.",
    ),
    "DL1065": Code(
        "conflicts with upstream",
        "Your branch and upstream changed the same lines. git has stopped in the middle, and nothing is lost.",
        "Resolve the conflicts and continue, or abort: the hint has the commands. Then run it again.",
    ),
    "DL1066": Code(
        "the forge's command line failed",
        "`gh` or `glab` is installed and logged in, and did not open the pull request. The branch is pushed.",
        "Open it by the page that `devloop env pr --print` tells.",
    ),
}


def normal(code: str) -> str:
    """Return a code as it is in the table: `dl123`, `0123` and `DL0123` are the same."""
    digits = code.strip().upper().removeprefix("DL")
    return f"DL{digits.zfill(4)}" if digits.isdecimal() else code.strip().upper()

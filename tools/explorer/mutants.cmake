# Defects that the explorer must find, one at a time. The texts are kernel/oneip's, and each occurs there exactly once.

# R1: the counter is used before it is on disk.
explorer_mutant(no-durable-counter role.c
"if (counter > Role->ReservedCounter || counter > OIP_EPOCH_COUNTER_MAX)"
"if (counter > OIP_EPOCH_COUNTER_MAX)")

# R1: what was used before a restart is forgotten.
explorer_mutant(no-stored-counter role.c
"    Role->UsedCounter = StoredCounter;\n"
"")

# R2: a dispatcher that comes back after its lease goes on.
explorer_mutant(resumes role.c
"    if (Role->State == OneIpRoleDispatcher && Now >= OipHeldUntil(Role))\n"
"    if (FALSE)\n")

# R3: it acts as long as it thinks that it is dispatcher.
explorer_mutant(no-lease role.c
"    return Role->Interval * Role->SilenceBeacons;\n"
"    return 1000 * Role->Interval * Role->SilenceBeacons;\n")

# R3: the lease counts from the tick, whether its beacons went out or not.
explorer_mutant(lease-without-beacons role.c
"    OipAnnounceDue(Role, Now, Actions);\n    OipMakeBeacon("
"    OipAnnounceDue(Role, Now, Actions);\n    Role->ActingUntil = Now + OipLease(Role);\n    OipMakeBeacon(")

# R3: beacons that left late renew it all the same.
explorer_mutant(late-renewal role.c
"        Now < OipHeldUntil(Role) && until > Role->ActingUntil)\n"
"        until > Role->ActingUntil)\n")

# R4: silence counts although this node was not running.
explorer_mutant(no-stall role.c
"    if (gap > OipStallLimit(Role))\n"
"    if (FALSE)\n")

# R4: promoted at a late tick, with beacons in the receive queue.
explorer_mutant(hasty role.c
"    if (Role->TickGap > onTime || Now - Role->LastTick > onTime)\n"
"    if (FALSE)\n")

# R5: a dispatcher does not care for higher epochs.
explorer_mutant(no-step-down role.c
"    if (order < 0 && (Role->State == OneIpRoleDispatcher || OipHears(Role, Now)))\n"
"    if (Role->State == OneIpRoleDispatcher || (order < 0 && OipHears(Role, Now)))\n")

# R5: nor for those of whom a member tells it.
explorer_mutant(no-hearsay-step-down role.c
"        if (follows && OipEpochCompare(&Beacon->Epoch, &Role->Epoch) > 0)\n"
"        if (FALSE)\n")

# R5: no announcement when somebody came from another part of the network.
explorer_mutant(no-heal-announcement role.c
"        /* R5: it may come from another part of the network, where somebody else was dispatcher. */\n        Role->AnnounceStep = 0;\n        Role->NextAnnounce = Now;\n"
"")

# R6: the best in rank takes the role when it returns.
explorer_mutant(preemption role.c
"    if (Role->PrimaryWanted && Role->State == OneIpRoleBackup)\n"
"    if (Role->State == OneIpRoleBackup && (Role->PrimaryWanted || Role->Members[Role->Local].Rank == 0))\n")

# R7: a deaf dispatcher stays.
explorer_mutant(deaf-stays role.c
"    if (!Role->Deaf && Now - Role->DeafSince >= OipMemberLimit(Role, Member))\n"
"    if (FALSE)\n")

# R7: whoever is missed blames the dispatcher, others or not.
explorer_mutant(blames-the-dispatcher roster.c
"           Beacon->Alive == 1ULL << Dispatcher;\n"
"           (Beacon->Alive >> Role->Local & 1) == 0;\n")

# R8: a node that does not hear the dispatcher does not listen to those who do.
explorer_mutant(deaf-to-hearsay role.c
"    case OneIpRoleListening:\n        if (follows)\n"
"    case OneIpRoleListening:\n        if (FALSE)\n")

# R11: no listening at the start.
explorer_mutant(no-listening role.c
"    due += Role->Starting   ? 4 * Role->Interval * Role->SilenceBeacons
           : Role->Resigned ? 0
                            : OipSilence(Role);
    due = OipMax(due, Role->RunningSince + OipSilence(Role));
"
"    due += Role->Starting || Role->Resigned ? 0 : OipSilence(Role);
")

# R12: the veto is forgotten at an election.
explorer_mutant(no-veto role.c
"OneIpRoleBackup) || Role->Vetoed ||\n"
"OneIpRoleBackup) ||\n")

# Silence is as short as the beacons' distance.
explorer_mutant(impatient role.c
"    return interval * Role->SilenceBeacons + interval / 2;\n"
"    return interval * (Role->SilenceBeacons - 1);\n")

# Nobody goes second.
explorer_mutant(only-the-first role.c
"    return Role->PrimaryWanted || Now >= due + OipPosition(Role, Now) * 2 * OipAwaited(Role);\n"
"    return Role->PrimaryWanted || OipPosition(Role, Now) == 0;\n")

# Backups keep their own idea of who is alive.
explorer_mutant(own-log roster.c
"        Role->Liveness = Beacon->Liveness;\n        Role->Alive = Beacon->Alive;\n"
"")

# Who was down once stays down.
explorer_mutant(no-return roster.c
"    UINT64 alive = Role->Alive | Role->PendingUp;\n"
"    UINT64 alive = Role->Alive;\n")

# The dead stay in the table.
explorer_mutant(immortal roster.c
"(member->Left || Now - member->LastSeen > OipMemberLimit(Role, i))"
"member->Left")

# R1: an epoch that was heard is used again.
explorer_mutant(ignores-epochs role.c
"    UINT64 counter = OipMax(Role->HighestCounter, Role->UsedCounter) + 1;\n"
"    UINT64 counter = Role->UsedCounter + 1;\n")

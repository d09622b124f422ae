# Texts of mails, in the language of their reader. Line breaks count as spaces: the plain text is wrapped.
# Mails also have the lines "Username: ..." and "Password: ...", in English in every language, since programs read them.

## All mails

# No line begins with the name: it could be "Password: ...".
greeting = Hello { $name },
greeting-without-name = Hello,
label-end = {": "}
label-sign-in = Sign in
label-link = Link
label-username = Username
label-password = Password
label-when = When
label-new-email = New e-mail
label-applications = Applications
# $day: day of the month; $month: 1 to 12; $year: four digits; $time: hours and minutes
date-time = { $day } { $month ->
        [1] January
        [2] February
        [3] March
        [4] April
        [5] May
        [6] June
        [7] July
        [8] August
        [9] September
        [10] October
        [11] November
       *[12] December
    } { $year }, { $time } UTC
not-expected = If you did not expect this mail, tell your administrator.
not-you = If it was not you, tell your administrator at once.
ignore-if-not-you = If it was not you, you need not do anything.

## A temporary password

welcome-subject = Your new account: temporary password
welcome = An account was created for you.
reset-subject = Your password was reset: temporary password
reset = Your password was reset. The old one no longer works.
forgotten-subject = You asked for a temporary password
forgotten = A temporary password was requested for your account.
credentials = Sign in with this username and password:
temporary = The password is temporary. It is valid until { $until } and can only be used to choose your own
    password: you are asked for one when you sign in.

## Changes of an account

password-changed-subject = Your password was changed
password-changed = The password of your account was changed.
email-changed-subject = Your e-mail address was changed
email-changed = The e-mail address of your account was changed. This mail goes to the old address.
locked-subject = Your account was locked
locked-failed-logins = Your account was locked, because too many logins failed in a row.
locked-by-admin = Your account was locked by an administrator.
locked-next = You can sign in again when an administrator has unlocked it.
factor-added-subject = A second factor was added to your account
factor-added-app = An authenticator app was added to your account. You are asked for its code when you sign in.
factor-added-passkey = A passkey was added to your account. You can sign in with it.
factor-added-recovery-codes = New recovery codes were made for your account. The former ones no longer work.
factor-removed-subject = A second factor was removed from your account
factor-removed-app = The authenticator app was removed from your account.
factor-removed-passkey = A passkey was removed from your account.
factor-removed-recovery-codes = The recovery codes were removed from your account.
recovery-code-used-subject = A recovery code was used to sign in
recovery-code-used = Somebody signed in to your account with a recovery code. Codes left: { $left }.

## What was forgotten, and addresses

forgotten-username-subject = Your username
forgotten-username = The username of your account was requested. You sign in with it.
verify-email-subject = Verify your e-mail address
verify-email = Open this link until { $until } to verify that this is your e-mail address.

## Keys that sign ID tokens

keys-reset-subject = Signing keys were replaced
keys-reset = The operator of this server replaced keys that sign ID tokens. The users of the applications below stay
    signed in, but ID tokens that were issued before can no longer be verified.
keys-reset-next = Most applications fetch the new keys themselves. If one refuses to sign users in, restart it, or have it fetch
    the keys again.

## A test of the settings

test-subject = Test of mail delivery
test = This is a test of mail delivery. Nothing has to be done.

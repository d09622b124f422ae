## All pages

skip-to-content = Skip to content
language = Language
details = Details
request-id = Request ID
go-to-sign-in = Go to sign-in
go-to-account = Go to your account
show-password = Show password
required-field = This field is required.

## Sign in

sign-in-title = Sign in
sign-in-to = Sign in to { $name }
sign-in-username = Username
sign-in-password = Password
sign-in-keep = Keep me signed in
sign-in-keep-hint = For 30 days, on this device only. Not on a shared computer.
sign-in-submit = Sign in
sign-in-forgot-password = Forgot your password?
sign-in-forgot-username = Forgot your username?
sign-in-failed = Wrong username or password. Check both and try again. Upper and lower case of the password matter.
sign-in-too-many =
    { $minutes ->
        [one] Too many failed attempts from your network. Try again in { $minutes } minute.
       *[other] Too many failed attempts from your network. Try again in { $minutes } minutes.
    }

## Sign out

sign-out-title = Sign out
sign-out-question = Do you want to sign out, { $name }?
sign-out-asked-by = { $name } asks you to sign out.
sign-out-explanation = Applications that you opened with this sign-in are signed out, too.
sign-out-submit = Sign out
sign-out-stay = Stay signed in
signed-out-title = You are signed out
signed-out-explanation = You can close this window, or sign in again.

## Choose an account

choose-account-title = Choose an account
choose-account-to-continue = to continue to { $name }
choose-account-submit = Continue as { $name }
choose-account-other = Sign in as somebody else
choose-account-other-hint = You are then signed out of the account above.

## Back to the application, by a form

client-form-title = Back to the application
client-form-to = Back to { $name }
client-form-explanation = Your browser is sending the answer to the application. If nothing happens, press the button.
client-form-submit = Continue

## Set a password

set-password-title = Set a new password
set-password-explanation = You signed in with a temporary or expired password. Choose a password of your own to go on.
set-password-new = New password
set-password-submit = Set password and continue
set-password-rules = Your password:
set-password-met = met
set-password-unmet = not met yet
set-password-problem = This password cannot be used. These rules are not met yet: your password …
rule-length = has 12 to 40 characters
rule-characters = consists of letters without accents, digits and special characters, without a space or colon
rule-ends = begins and ends with a letter or digit
rule-upper-case = has an upper case letter
rule-lower-case = has a lower case letter
rule-digit = has a digit
rule-special = has a special character, such as - _ . ! or #
rule-names = does not contain your username, name or e-mail address
rule-common = is not a common password
rule-used-before = is not one of your last 12 passwords, nor the temporary one
rule-length-nist = has 15 to 128 characters, of any language; spaces are fine
rule-characters-nist = has no control characters, such as a tab
rule-names-nist = is not your username or e-mail address

## Account

account-title = Your account
account-sign-out = Sign out
account-profile = Profile
account-password = Password
account-sessions = Sessions
account-applications = Connected applications
account-language = Language
account-save = Save
account-saved = Your changes are saved.

## Fields of the profile

field-username = Username
field-first-name = First name
field-last-name = Last name
field-display-name = Name to show
field-display-name-hint = Shown instead of your first and last name. Leave it empty to use those.
field-title = Title
field-phone-number = Phone number
field-email = E-mail address
field-email-hint = If you change it, a notice goes to the old address.
field-username-hint = You sign in with it.
field-optional = optional

## What is wrong with a field

problem-fix = Nothing was saved yet. Check what is marked below.
problem-empty = This field cannot be empty.
problem-too-long = This is too long.
problem-control-character = This contains a character that cannot be used here.
problem-invisible = This has only invisible characters. Write a name that can be seen.
problem-username = Use letters, digits and . - _ + @ only, without spaces.
problem-username-taken = Somebody else has this username. Choose another one.
problem-email = This is not a valid e-mail address.
problem-changed-meanwhile = This was changed elsewhere meanwhile, to “{ $current }”. Save again to replace that by what you typed.
problem-changed-meanwhile-empty = This was cleared elsewhere meanwhile. Save again to replace that by what you typed.
problem-other = This value cannot be used.

## The e-mail address in the profile

email-verified = This address is verified.
email-unverified = This address is not verified yet.
email-verify = Send a verification link
email-link-sent = We have sent a link to { $address }. Open it within 24 hours. If nothing arrives, look in your spam folder.
email-link-too-many =
    { $minutes ->
        [one] A link was sent a moment ago. If it does not arrive, you can ask for another one in { $minutes } minute.
       *[other] You have asked for several links. If none arrives, you can ask for another one in { $minutes } minutes.
    }
email-hold = You have changed your e-mail address. To protect you if it was somebody else, mails with passwords go to your former address, { $address }, until { $until }.

## The status in the profile

status-label = Account status
status-active = Active
status-inactive = Inactive
status-locked = Locked
status-hint = If you choose another status than active, you are signed out at once, everywhere and from all applications. Only an administrator can then make your account active again.
status-change = Change status
status-last-admin = You are the last active administrator of your organization. Make somebody else an administrator first. Nothing was changed.

## Password in the account

password-current = Current password
password-change = Change password
password-wrong = This is not your current password.
password-ends-others = When you change it, you are signed out everywhere else.
password-changed = Your password is changed. You are signed out everywhere else.

## Second factors

account-security = Security
second-factor-title = Confirm that it is you
second-factor-app = Type the code that your authenticator app shows.
second-factor-recovery-code = If you do not have it with you, type one of your recovery codes.
second-factor-code = Code
second-factor-remember = Do not ask again on this device
second-factor-remember-hint = For { $days } days. Not on a shared computer.
second-factor-submit = Continue
second-factor-failed = This code is wrong or was used already. Wait for the next code and try again.
second-factor-passkey = Use a passkey
second-factor-passkey-cancelled = The passkey was not used. Try again.
second-factor-passkey-failed = This passkey does not confirm that it is you. Try again, or use another factor.
second-factor-passkey-unsupported = Your passkey cannot be used in this browser. It needs scripts to be on, and your device or security key.
second-factor-lost = No code any more? Ask your administrator to remove your second factor.
second-factor-required = Your organization requires a second factor. Add one to go on.
authenticator-title = Add an authenticator app
authenticator-intro = An authenticator app on your phone shows a new code every 30 seconds. You are asked for it when you sign in.
authenticator-begin = Set up the app
authenticator-scan = Scan this picture with your authenticator app.
authenticator-qr = QR code for the authenticator app
authenticator-key = Or type this key:
authenticator-open = Open the app on this device
authenticator-code = The code that the app shows now
authenticator-confirm = Add the app
authenticator-wrong-code = This is not the code that the app shows now. Check the clock of your phone, and type the next code.
authenticator-no-master-key = Authenticator apps cannot be added on this server, since it has no master key to seal their secrets. Tell your administrator.
recovery-codes-title = Your recovery codes
recovery-codes-intro = If you lose your phone, you sign in with one of these codes. Each can be used once. Print them, or keep them in a password manager.
recovery-codes-once = They are shown only now.
recovery-codes-copy = Copy the codes
recovery-codes-copied = Copied
recovery-codes-print = Print the codes
recovery-codes-continue = I have kept the codes: continue
recovery-codes-left = Recovery codes left: { $left }
recovery-codes-make = Make new recovery codes
security-intro = With a second factor, nobody can sign in with your password alone.
security-none = You have no second factor.
security-off = Second factors are switched off here.
security-required-from = Your organization requires a second factor from { $when } on. Add one before then.
security-add-app = Add an authenticator app
factor-app = Authenticator app
factor-passkey = Passkey
factor-recovery-codes = Recovery codes
factor-added = Added { $when }
factor-remove = Remove: { $name }
factor-removed = The second factor is removed.
factor-last = Your organization requires a second factor. Add another one before you remove this one.
devices-title = Remembered devices
devices-count = Devices on which you are not asked for a code: { $count }
devices-forget = Ask for a code on all devices again
devices-forgotten = You are asked for a code on every device again.

## Passkeys

account-passkeys = Passkeys
passkeys-intro = A passkey signs you in with the lock of your device: your finger, your face or its PIN. You type neither username nor password, and no false site can ask you for it.
passkeys-too-old = To add, rename or remove a passkey you must have signed in within the last 5 minutes.
passkeys-sign-in-again = Sign in again
passkeys-unsupported = This browser cannot add a passkey here. It needs scripts to be on, and a device with a screen lock or a security key.
passkeys-need-a-name = Passkeys are not available here, because the address of this server is a number: browsers keep passkeys for names only. Ask your administrator.
passkeys-need-https = Passkeys are not available here, because this server is not reached by https. Ask your administrator.
passkeys-name = Name of the passkey
passkeys-name-hint = Choose one by which you will recognize the device.
passkeys-default-name = My device
passkeys-add = Add a passkey
passkeys-yours = Your passkeys
passkeys-none = You have no passkey yet.
passkeys-synced = On several of your devices
passkeys-one-device = On one device
passkeys-since = Added { $when }
passkeys-last-used = last used { $when }
passkeys-never-used = not used yet
passkeys-change = Rename or remove: { $name }
passkeys-rename = Save the name
passkeys-remove = Remove passkey: { $name }
passkeys-added = The passkey is added. You can sign in with it from now on.
passkeys-renamed = The name is saved.
passkeys-removed = The passkey is removed. It no longer signs you in. If your device still offers it, delete it there.
passkeys-taken-here = This device already has a passkey for your account.
passkeys-not-created = No passkey was added. Try again when you are ready.
passkeys-too-many = You have { $count } passkeys, which is the maximum. Remove one before you add another.
passkeys-bad-name = Nothing was saved: the name must have 1 to 64 characters that can be seen, without a line break.
passkeys-invalid = This passkey cannot be used here. Nothing was changed. Try again, or use another device.
passkeys-gone = There is no such passkey any more. Nothing was changed.
passkeys-expired = The page was open for too long. Nothing was changed. Try again.
passkeys-taken = This passkey is registered already. Nothing was changed.
passkeys-last-factor = You need a second factor, and this is your only one. Add another one before you remove it.
passkeys-off = Passkeys are switched off here. Nothing was changed. Ask your administrator.
passkeys-nothing-changed = Nothing was changed. See below what to do first.
sign-in-passkey = Sign in with a passkey
sign-in-passkey-cancelled = You were not signed in with a passkey. Try again, or use your password.
sign-in-passkey-refused = This passkey does not sign you in. Try another one, or use your password.
sign-in-passkey-expired = The page was open for too long. Try again.
sign-in-passkey-temporary = First sign in with the temporary password that was mailed to you, and set a new one. Then your passkey works again.

## Sessions

sessions-intro = This is where you are signed in. If you do not know one of these, end it and change your password.
sessions-end-others = Sign out everywhere else
sessions-end-all = Sign out everywhere, here too
sessions-end-one = End session: { $what }
sessions-browsers = Browsers
sessions-of-applications = Applications
sessions-no-applications = No application has access through a session of yours.
sessions-this-one = This browser
sessions-begun = Since { $when }
sessions-last-used = last used { $when }
sessions-from = from { $address }
sessions-unknown-browser = Unknown browser
sessions-direct = Signed in with username and password
sessions-ended = The session has ended.
sessions-others-ended = You are signed out everywhere else.
sessions-gone = There is no such session any more. Nothing was changed.
sessions-more = Only the newest { $count } are shown.

## Connected applications

applications-intro = These applications may learn about you what is listed. If you withdraw that, they are signed out and have to ask you again.
applications-none = You have not connected any application.
applications-since = Connected since { $when }
applications-withdraw = Disconnect { $name }
applications-withdrawn = The application is disconnected.
applications-gone = This application is not connected any more. Nothing was changed.

## Language in the account

language-intro = The language of these pages and of the mails to you.
language-of-browser = The language of my browser

## Consent

consent-title = Connect { $name }?
consent-intro = { $name } wants to know who you are. You are signed in as { $username }.
consent-gets = It gets:
consent-allow = Allow
consent-deny = Do not allow
consent-later = You can withdraw this at any time in your account, under “Connected applications”.
scope-openid = Your account’s number, by which it recognizes you
scope-profile = Your name, username and language
scope-email = Your e-mail address
scope-phone = Your phone number
scope-groups = The groups that you are in
scope-partner = The organization that you belong to
scope-offline-access = Access to this also while you are not signed in
scope-read = To see the data that you can see here
scope-write = To change the data that you can change here

## Forgotten password and username

forgot-password-title = Forgot your password?
forgot-password-intro = We mail you a temporary password. The current one works until you use it.
forgot-password-who = Username or e-mail address
forgot-password-submit = Send a temporary password
forgot-username-title = Forgot your username?
forgot-username-intro = We mail the usernames that belong to your e-mail address to it.
forgot-username-submit = Send my username
forgot-sent-title = Check your mail
forgot-password-sent = If there is an active account of this name or address, a temporary password is on its way to its address. Sign in with it and choose a new one.
forgot-username-sent = If there are active accounts with this address, their usernames are on their way to it.
forgot-not-arrived = Nothing arrived after a few minutes? Look in your spam folder, check what you typed, or ask your administrator. At most one such mail is sent in 10 minutes.
forgot-too-many =
    { $minutes ->
        [one] Too many requests from your network. Try again in { $minutes } minute.
       *[other] Too many requests from your network. Try again in { $minutes } minutes.
    }

## Console

console-title = Console
console-home = Overview
console-users = Users
console-cost =
    { $count ->
        [one] { $users } user · { $ms } ms
       *[other] { $users } users · { $ms } ms
    }
console-refused-title = The console is for administrators
console-refused = You are signed in as { $name }, who is not an administrator of your organization. Ask an administrator to make you one, or sign in with another account.
console-yes = Yes
console-no = No
console-all = All
console-you = you
console-open = Open
console-close = Close
console-cancel = Cancel
console-add = Add
console-remove = Remove
console-create = Create
console-never = never
console-saved = Saved.
console-at-least = at least { $count }

## Console: keys of the keyboard

console-keys = Keyboard shortcuts
console-keys-on = Use single keys as shortcuts
console-key-next = Next row
console-key-previous = Previous row
console-key-edit = Open and edit the row
console-key-search = Go to the search
console-key-help = Show these shortcuts
console-key-leave = Leave the row, or close this

## Console: lists

console-search = Search
console-search-users = Search users
console-filters = Filters
console-columns = Columns
console-order = Order
console-page = Page
console-pages = Pages
console-page-size = Rows per page
console-of-pages = of { $pages }
console-of-many-pages = of at least { $pages }
console-go = Go
console-first = First
console-previous = Previous
console-next = Next
console-last = Last
console-apply = Apply
console-exactly = Usernames, addresses and external ids must match exactly; upper and lower case do not matter.
console-group = Group
console-group-id = Group, by its id
console-nested = Also groups nested in it
console-filter-wrong = cannot be used:
console-filters-wrong = Nothing is listed, because this address asks for something that cannot be understood. Remove what is marked above.
console-remove-filter = Remove the filter: { $name }
console-remove-filters = Remove all
console-total-users =
    { $count ->
        [one] { $users } user
       *[other] { $users } users
    }
console-total-users-at-least = At least { $users } users
console-no-users = No user matches. Check the spelling, or remove a filter.
console-no-such-page = The list does not have so many pages.
console-curl = The same as an API call

## Console: a user

console-user-id = Id
console-user-number = user { $id }
console-status = Status
console-active = Active
console-inactive = Inactive
console-locked = Locked
console-active-hint = May sign in. A temporary password is mailed at once.
console-inactive-hint = May not sign in. The password is mailed on activation.
console-admin = Administrator
console-admins = Administrators
console-is-admin = Administrator
console-is-admin-hint = May see and change everything in this console.
console-external-id = External id
console-display-name-hint = Shown instead of first and last name.
console-external-id-hint = The key of this user in your own systems. Each can be used once.
console-locale-hint = A language tag such as en, nl or zh-Hans. Mails and pages are in this language.
console-problem-locale = This is not a language tag. Write, for example, en or pt-BR.
console-problem-external-id-taken = Another user has this external id.
console-problem-last-admin = This is the last active administrator. Make somebody else an administrator first. Nothing was changed.
console-problem-self-delete = You cannot delete yourself. Another administrator has to do it. Nothing was changed.
console-created = Created
console-updated = Last changed
console-last-login = Last sign-in
console-groups = Groups
console-group-name = Name of a group
console-no-groups = In no group.
console-no-such-group = There is no group of this name, or the user is not in it any more. Nothing was changed.
console-remove-from = Remove from { $name }
console-new-user = New user
console-created-user = The user is created.
console-all-users = All users
console-unknown-user-title = There is no such user
console-unknown-user = Your organization has no user with this id. It may have been deleted:
console-about-user = About this user
console-lock = Lock
console-unlock = Unlock
console-activate = Activate
console-deactivate = Deactivate
console-status-hint = Locking and deactivating end all sessions at once.
console-more = More
console-reset-password = Reset the password …
console-reset-password-hint = A temporary password is mailed to the user. The old password and all sessions end at once.
console-reset-password-now = Reset it and send the mail
console-password-reset = A temporary password is on its way to the user.
console-delete-user = Delete the user …
console-delete-user-hint = All sessions end at once. The user can be restored until the retention period of your server ends.
console-delete-now = Delete { $name }
console-stale = Somebody else has changed this user since you opened the form. Nothing was saved yet. Compare both versions, then save again or take theirs.
console-versions = Both versions
console-field = Field
console-theirs = Saved now
console-yours = Typed by you
console-versions-hint = What you did not change is taken from the saved version.
console-take-theirs = Discard what I typed
console-direct = Signed in over the API
console-no-sessions = This user is not signed in anywhere.
console-begun = since
console-last-used = last used
console-end-all = End all sessions
console-sessions-ended = All sessions have ended.
console-permissions = Permissions
console-not-active = Only an active user has permissions.
console-total-permissions =
    { $count ->
        [one] { $shown } permission
       *[other] { $shown } permissions
    }
console-object-type = Type
console-object = Object
console-permission = Permission
console-why = Why
console-every-object = every object
console-as-admin = is an administrator
console-history = History
console-total-events =
    { $count ->
        [one] { $shown } event
       *[other] { $shown } events
    }
console-by = by
console-operator = the operator
console-server = the server
console-json = JSON

## Console: groups

console-search-groups = Search groups
console-new-group = New group
console-new-nested = New group in this one
console-description = Description
console-parent = Nested in
console-parent-hint = The name of a group. Members of this group then have its permissions, too.
console-nested-in = Nested in
console-nested-groups = Nested groups
console-no-nested = No group is nested in this one.
console-first-nested = Only the first { $count } are shown; the search finds the others.
console-members = Members
console-remove-member = Remove { $name } from the group
console-about-group = About this group
console-outermost = outermost level
console-total-groups =
    { $count ->
        [one] { $groups } group
       *[other] { $groups } groups
    }
console-no-groups-yet = There is no group yet. Groups give their members permissions: create the first one.
console-no-group-found = No group matches. Check the spelling.
console-all-groups = All groups
console-unknown-group-title = There is no such group
console-unknown-group = Your organization has no group with this id. It may have been deleted:
console-group-created = The group is created.
console-group-deleted = The group is deleted.
console-no-such-member = There is no such user, or the user is not a member any more. Nothing was changed.
console-delete-group = Delete the group …
console-delete-group-hint = Its members stay users, but lose the permissions that come from it. This cannot be undone.
console-stale-group = Somebody else has changed this group since you opened the form. Nothing was saved yet. Compare both versions, then save again or take theirs.
console-problem-group-name-taken = Another group has this name.
console-problem-no-parent = There is no group of this name.
console-problem-nesting-cycle = A group cannot be nested in itself, nor in one that is nested in it.
console-problem-nesting-too-deep = Groups can be nested at most eight levels deep.

## Console: deleted users

console-deleted-users = Deleted users
console-search-deleted = Search deleted users
console-name = Name
console-deleted-at = Deleted
console-no-deleted = No deleted user here. Users who are deleted can be restored here until they are erased.
console-restore = Restore
console-restore-user = Restore { $name }
console-deleted-now = The user is deleted. To undo that, restore the user here.
console-restored = The user is restored, with password and groups.
console-restored-some = The user is restored, without the groups that no longer exist.
console-problem-not-deleted = There is no such deleted user any more. Nothing was changed.
console-problem-restore-username = Somebody else has this username by now. Change that one first. Nothing was changed.
console-problem-restore-external-id = Another user has this external id by now. Change that one first. Nothing was changed.
console-address-wrong = This address asks for something that cannot be understood. Start again with a search.

## Console: the first page

console-last-events = Last events
console-attention = Needs attention
console-locked-users =
    { $number ->
        [one] { $users } user is locked
       *[other] { $users } users are locked
    }
console-nothing = Nothing at the moment.
console-first-step = Create the first user

## Events

event-user-created = User created
event-user-updated = User changed
event-user-deleted = User deleted
event-user-restored = User restored
event-user-erased = User erased
event-user-locked = Locked after failed sign-ins
event-user-login-refused = Sign-in refused
event-email-verified = E-mail address verified
event-user-signed-in = Signed in in a browser
event-user-signed-out = Signed out in a browser
event-password-issued = Temporary password issued
event-password-reset = Password reset
event-password-changed = Password changed
event-session-started = Session started
event-session-ended = Session ended
event-session-replayed = A used token was used again
event-group-created = Group created
event-group-updated = Group changed
event-group-deleted = Group deleted
event-group-member-added = Added to a group
event-group-member-removed = Removed from a group
event-group-permissions-changed = Permissions of a group changed
event-mail-set-aside = A mail could not be delivered
event-consent-granted = An application was connected
event-consent-withdrawn = An application was disconnected

## Verify the e-mail address

verify-email-title = Verify your e-mail address
verify-email-question = Is { $address } your e-mail address?
verify-email-explanation = Press the button only if you asked for the link yourself.
verify-email-submit = Yes, verify it
verify-email-done-title = Your e-mail address is verified
verify-email-done = { $address } is verified. You can close this window.

## Errors

error-title = Something went wrong
error-unknown-client-title = Unknown application
error-unknown-client = The application that sent you here is not registered. Go back to it and tell its makers. Nothing was changed.
error-bad-redirect-uri-title = The application's address is not registered
error-bad-redirect-uri = The application asked us to send you to an address that is not registered for it, so we do not. Go back to it and tell its makers. Nothing was changed.
error-bad-request-title = This request cannot be understood
error-bad-request = The link or form that led here is incomplete or wrong. Go back and try again. If you came from an application, tell its makers. Nothing was changed.
error-stale-form-title = This form is out of date
error-stale-form = The page was open for too long, or you have signed in or out in another window since. Open the page again and repeat what you did. Nothing was changed.
error-foreign-origin-title = This form came from another site
error-foreign-origin = For your safety, forms are only accepted from our own pages. Open the page again and fill in the form there. Nothing was changed.
error-cookies-off-title = Cookies are off
error-cookies-off = Your browser does not send our cookie, without which you cannot stay signed in. Allow cookies for this site, then open the page again. Nothing was changed.
error-expired-request-title = This sign-in has expired
error-expired-request = It took longer than an hour, or its link was changed. Go back to the application and sign in again. Nothing was changed.
error-expired-link-title = This link no longer works
error-expired-link = The link has expired or was used already. Request a new one. Nothing was changed.
error-signed-out-title = You are signed out
error-signed-out = Your session has ended. Sign in again and repeat what you did. Nothing was changed.
error-not-allowed-title = You may not do this
error-not-allowed = Your account does not have the right to do this. Ask your administrator. Nothing was changed.
error-not-found-title = Page not found
error-not-found = There is no page at this address. Check the address, or go to your account.
error-method-not-allowed-title = This page cannot be opened like this
error-method-not-allowed = Open it by its address, or by the form that leads to it. Nothing was changed.
error-too-many-title = Too many requests
error-too-many = Too many requests came from your network. Wait a minute, then try again.
error-unavailable-title = We are busy
error-unavailable = The server cannot answer right now. Wait a moment, then try again. Nothing was changed.
error-internal-title = Something went wrong
error-internal = That is an error of ours, not of yours. Try again; if it happens again, tell your administrator the request ID below.

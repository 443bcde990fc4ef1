/* Declares every function of the table that the framework has. The list is FxFunctions.h's; types
 * are wdf.h's, so that an implementation that differs from its declaration does not compile. */
#pragma once

#include "fx.h"

#define FX_HAVE(Name, Type) __typeof__(*(PFN_##Type)NULL) Fx##Name;
#define FX_LACK(Name)
#include "functions.h"
#undef FX_HAVE
#undef FX_LACK
